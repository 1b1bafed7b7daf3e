import { expect, it } from "vitest";

import type { Alert } from "@/api/types";

import { alertText, ruleLines } from "./describe";

const usd = (amount: string) => ({ amount, currency: "USD" });

it("has a line for every rule, those of events without a state of their own", () => {
  const lines = ruleLines(
    [
      { kind: "balance_below", threshold: usd("20.00"), percent: null, state: "fired", fired_at: "2026-11-21T20:15:04.002Z" },
      { kind: "below_top_up_percent", threshold: null, percent: 10, state: "armed", fired_at: null },
      { kind: "recharge_failed", threshold: null, percent: null, state: "armed", fired_at: null },
      { kind: "empty_soon", threshold: null, percent: null, state: null, fired_at: null },
    ],
    {
      balance_below: [usd("20.00")],
      below_top_up_percent: [10],
      event_budget_percent: [80, 100],
      recharge_failed: true,
      empty_in_hours: 1,
      booth_spike: { times: 5, at_least: usd("20.00") },
      set_at: "2026-11-01T09:00:00.000Z",
    },
  );
  expect(lines.map(({ text, state, per }) => [text, state, per])).toEqual([
    ["Balance below $20.00", "fired", "account"],
    ["Balance below 10% of the last purchase", "armed", "account"],
    ["Auto-recharge fails", "armed", "account"],
    ["Balance lasts less than 1 hour", null, "account"],
    ["An event reaches 80% of its budget", null, "event"],
    ["An event reaches 100% of its budget", null, "event"],
    ["A booth spends 5 times its average hour, and at least $20.00", null, "booth"],
  ]);
});

it("says what was told, each kind in a sentence", () => {
  const alert = (parts: Partial<Alert>): Alert => ({
    entry_id: "ent_1",
    number: 1,
    kind: "balance_below",
    at: "2026-11-21T20:15:04.001Z",
    crossed_by: "ent_0",
    balance: usd("19.88"),
    ...parts,
  });
  const names: Record<string, string> = { evt_gala: "Gala", bth_17: "Left" };
  const name = (id: string): string => names[id] ?? id;
  const said = (parts: Partial<Alert>): string => alertText(alert(parts), name, name);
  expect(said({ threshold: usd("20.00") })).toBe("Balance fell below $20.00");
  expect(said({ kind: "below_top_up_percent", percent: 10, threshold: usd("5.0125") })).toBe(
    "Balance fell below 10% of the last purchase ($5.0125)",
  );
  expect(said({ kind: "event_budget", percent: 80, event_id: "evt_gala", threshold: usd("50.00") })).toBe(
    "Gala reached 80% of its budget of $50.00",
  );
  expect(said({ kind: "recharge_failed", reason: "card_declined" })).toBe("Auto-recharge failed: the card was declined");
  expect(said({ kind: "empty_soon", hours: 48, spent: usd("12.00") })).toBe(
    "Balance lasts less than 48 hours, at $12.00 spent in a day",
  );
  expect(said({ kind: "booth_spike", booth_id: "bth_17", spent: usd("20.16"), usual: usd("1.234567") })).toBe(
    "Left spent $20.16 in an hour, $1.23 on average before",
  );
  expect(said({ kind: "something_new" })).toBe("something new");
});
