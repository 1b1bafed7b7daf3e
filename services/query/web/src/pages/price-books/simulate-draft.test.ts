import { expect, it } from "vitest";

import type { Price, PriceBook } from "@/api/types";

import { daysError, isQuantity, lessOf, periodOf, workChoices, workOf } from "./simulate-draft";

const PRICE: Price = {
  service: "sms",
  engine: "sms_intl",
  variant: null,
  country: "DE",
  unit: "segment",
  model: "graduated",
  plans: {},
  tiers: [{ from: "0", to: null, plans: { basic: "0.10" } }],
};
const BOOK: PriceBook = {
  version: 1,
  currency: "USD",
  effective_from: "2026-10-01T00:00:00Z",
  plans: [],
  services: [{ code: "sms", name: "SMS" }],
  engines: [],
  prices: [{ ...PRICE, effective_to: "2026-11-01T00:00:00Z" }, { ...PRICE, effective_from: "2026-11-01T00:00:00Z" }],
};

it("offers a kind of work once, however many prices follow each other", () => {
  expect(workChoices(BOOK).map(({ name }) => name)).toEqual(["SMS · sms_intl · DE · segment"]);
});

it("sends what was counted before only where it matters", () => {
  expect(workOf(PRICE, "basic", " 5 ", "990")).toEqual({
    service: "sms",
    engine: "sms_intl",
    country: "DE",
    unit: "segment",
    quantity: "5",
    plan: "basic",
    counted_before: "990",
  });
  expect(workOf({ ...PRICE, model: "per_unit", tiers: [] }, "basic", "5", "990")).not.toHaveProperty("counted_before");
});

it("takes decimals above zero for a quantity", () => {
  expect(["1", "2.5", "0.000001"].every(isQuantity)).toBe(true);
  expect(["", "0", "0.0", "-1", "1e3", "1,5"].some(isQuantity)).toBe(false);
});

it("takes both days whole, and at most 92 of them", () => {
  expect(periodOf("acc_luna", "2026-02-01", "2026-02-28", "")).toEqual({
    account_id: "acc_luna",
    from: "2026-02-01T00:00:00Z",
    to: "2026-03-01T00:00:00Z",
  });
  expect(periodOf("acc_luna", "2026-02-01", "2026-02-01", "pro")).toMatchObject({ to: "2026-02-02T00:00:00Z", plan: "pro" });
  expect(daysError("2026-01-01", "2026-04-02")).toBeNull();
  expect(daysError("2026-01-01", "2026-04-03")).toBe("long");
  expect(daysError("2026-01-02", "2026-01-01")).toBe("invalid");
  expect(daysError("", "2026-01-01")).toBe("invalid");
});

it("takes amounts from each other exactly", () => {
  expect(lessOf({ amount: "0.10", currency: "USD" }, { amount: "0.300001" })).toEqual({
    amount: "-0.200001",
    currency: "USD",
  });
});
