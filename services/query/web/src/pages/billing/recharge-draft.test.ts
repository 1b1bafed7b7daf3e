import { expect, it } from "vitest";

import type { Recharge } from "@/api/types";

import { bodyOf, defaultDailyCap, draftErrors, draftOf, type Draft } from "./recharge-draft";

const DRAFT: Draft = {
  enabled: true,
  mode: "amount",
  threshold: "10",
  amount: "100.5",
  target: "",
  dailyCap: "",
  monthlyCap: "500",
};

it("sends decimal strings, one of amount and target, and null for no limit", () => {
  expect(draftErrors(DRAFT)).toEqual({});
  expect(bodyOf(DRAFT)).toEqual({
    enabled: true,
    threshold: "10.00",
    amount: "100.50",
    target: null,
    daily_cap: null,
    monthly_cap: "500.00",
  });
  expect(bodyOf({ ...DRAFT, mode: "target", target: "200" })).toMatchObject({ amount: null, target: "200.00" });
});

it("finds what cannot be", () => {
  expect(Object.keys(draftErrors({ ...DRAFT, threshold: "ten", amount: " ", dailyCap: "-1" }))).toEqual([
    "threshold",
    "amount",
    "dailyCap",
  ]);
  expect(draftErrors({ ...DRAFT, mode: "target", target: "10.00" }).target).toBeDefined();
  // given what ingest refuses, then it is said at its field before anything is sent
  const said = (part: Partial<Draft>) => Object.entries(draftErrors({ ...DRAFT, ...part }));
  expect(said({ amount: "49.99" })).toEqual([["amount", "At least $50 is bought at once"]]);
  expect(said({ amount: "10000.01" })).toEqual([["amount", "At most $10,000 is bought at once"]]);
  expect(said({ mode: "target", target: "59.99" }).map(([field]) => field)).toEqual(["target"]);
  expect(said({ mode: "target", target: "10010.01" }).map(([field]) => field)).toEqual(["target"]);
  expect(said({ dailyCap: "20", monthlyCap: "49.99" }).map(([field]) => field)).toEqual(["dailyCap", "monthlyCap"]);
  for (const amount of ["50", "10000.00"]) expect(said({ amount })).toEqual([]);
  for (const target of ["60", "10010"]) expect(said({ mode: "target", target })).toEqual([]);
  expect(said({ dailyCap: "50", monthlyCap: "50.00" })).toEqual([]);
});

it("says which daily cap a rule without one gets", () => {
  expect(defaultDailyCap(DRAFT)).toBe("1005.00");
  expect(defaultDailyCap({ ...DRAFT, mode: "target", target: "60.50" })).toBe("505.00");
  expect(defaultDailyCap({ ...DRAFT, amount: "ten" })).toBeNull();
  expect(defaultDailyCap({ ...DRAFT, mode: "target", threshold: "" })).toBeNull();
});

it("begins with a threshold that buys before nothing is left, and keeps one that was set", () => {
  const usd = (amount: string) => ({ amount, currency: "USD" });
  const rule = (enabled: boolean, threshold: string) =>
    ({ enabled, threshold: usd(threshold), amount: null, target: null, daily_cap: null, monthly_cap: null }) as unknown as Recharge;
  expect(draftOf(rule(false, "0.00"))).toMatchObject({ threshold: "10.00", amount: "100.00" });
  expect(draftOf(rule(false, "25.00")).threshold).toBe("25.00");
  expect(draftOf(rule(true, "0.00")).threshold).toBe("0.00");
});
