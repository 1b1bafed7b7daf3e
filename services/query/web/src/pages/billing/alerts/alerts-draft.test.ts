import { expect, it } from "vitest";

import { bodyOf, draftOf, errorsOf, isSendable, type AlertsDraft } from "./alerts-draft";

const DRAFT: AlertsDraft = {
  balanceBelow: ["20", " 5.5 ", ""],
  belowTopUpPercent: ["10"],
  eventBudgetPercent: ["80", "1000"],
  rechargeFailed: true,
  emptySoon: true,
  emptyHours: "48",
  spike: true,
  spikeTimes: " 5 ",
  spikeAtLeast: "20",
};

it("sends decimal strings and whole numbers, without the lines that are empty", () => {
  expect(isSendable(errorsOf(DRAFT))).toBe(true);
  expect(bodyOf(DRAFT)).toEqual({
    balance_below: ["20.00", "5.50"],
    below_top_up_percent: [10],
    event_budget_percent: [80, 1000],
    recharge_failed: true,
    empty_in_hours: 48,
    booth_spike: { times: 5, at_least: "20.00" },
  });
  expect(bodyOf({ ...DRAFT, spike: false, spikeTimes: "many", spikeAtLeast: "" }).booth_spike).toBeNull();
  expect(bodyOf({ ...DRAFT, emptySoon: false, emptyHours: "soon" }).empty_in_hours).toBeNull();
});

it("names the line that cannot be", () => {
  const wrong: AlertsDraft = {
    ...DRAFT,
    balanceBelow: ["5", "-1", "5.00", "ten"],
    belowTopUpPercent: ["0", "101", "100"],
    eventBudgetPercent: ["1001", "12.5", "90", "90"],
    emptyHours: "721",
    spikeTimes: "1",
    spikeAtLeast: "-1",
  };
  const errors = errorsOf(wrong);
  const at = (lines: readonly (string | undefined)[]): number[] =>
    lines.flatMap((line, index) => (line === undefined ? [] : [index]));
  expect(at(errors.lists.balanceBelow)).toEqual([1, 2, 3]);
  expect(at(errors.lists.belowTopUpPercent)).toEqual([0, 1]);
  expect(at(errors.lists.eventBudgetPercent)).toEqual([0, 1, 3]);
  expect(errors.emptyHours).toBeDefined();
  expect(errors.spikeTimes).toBeDefined();
  expect(errors.spikeAtLeast).toBeDefined();
  expect(isSendable(errors)).toBe(false);
  expect(isSendable(errorsOf({ ...DRAFT, emptySoon: false, emptyHours: "721" }))).toBe(true);
  for (const wrong of [{ spikeTimes: "1" }, { spikeTimes: "101" }, { spikeTimes: "2.5" }, { spikeAtLeast: "" }]) {
    expect(isSendable(errorsOf({ ...DRAFT, ...wrong }))).toBe(false);
    expect(isSendable(errorsOf({ ...DRAFT, ...wrong, spike: false }))).toBe(true);
  }
});

it("shows the rules as they were set, and proposes some where none are", () => {
  const rules = {
    balance_below: [{ amount: "20.00", currency: "USD" }],
    below_top_up_percent: [],
    event_budget_percent: [100],
    recharge_failed: false,
    empty_in_hours: null,
    set_at: "2026-11-01T00:00:00.000Z",
  };
  expect(draftOf(rules)).toMatchObject({
    balanceBelow: ["20.00"],
    belowTopUpPercent: [],
    eventBudgetPercent: ["100"],
    rechargeFailed: false,
    emptySoon: false,
    spike: false,
  });
  const spike = { times: 3, at_least: { amount: "12.50", currency: "USD" } };
  expect(draftOf({ ...rules, booth_spike: spike })).toMatchObject({ spike: true, spikeTimes: "3", spikeAtLeast: "12.50" });
  expect(isSendable(errorsOf(draftOf(null)))).toBe(true);
  expect(bodyOf(draftOf(null)).balance_below).toEqual(["20.00"]);
});
