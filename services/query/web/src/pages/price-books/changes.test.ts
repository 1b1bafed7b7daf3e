import { expect, it } from "vitest";

import type { Price, PriceBook } from "@/api/types";

import { changesBetween } from "./changes";

const price = (parts: Partial<Price>): Price => ({
  service: "ai_modify",
  engine: "nano_banana_2",
  unit: "image",
  model: "per_unit",
  plans: { basic: "0.20", pro: "0.16" },
  ...parts,
});
const book = (version: number, prices: Price[], fee = "39.00"): PriceBook => ({
  version,
  currency: "USD",
  effective_from: "2026-10-01T00:00:00.000Z",
  plans: [
    { code: "basic", name: "Basic", monthly_fee: fee },
    { code: "pro", name: "Pro", monthly_fee: "79.00" },
  ],
  services: [{ code: "ai_modify", name: "AI Modify" }],
  engines: [
    { code: "nano_banana_2", name: "Nano Banana 2" },
    { code: "kling", name: "Kling" },
  ],
  prices,
});
const told = (before: PriceBook, after: PriceBook) =>
  changesBetween(before, after).map(({ row, plan, before: was, after: is }) => [row, plan, was, is]);

it("lists each plan's price that differs, and what came and went", () => {
  const before = book(1, [price({}), price({ variant: "4k", plans: { basic: "0.30" } })]);
  const after = book(2, [price({ plans: { basic: "0.18", pro: "0.160" } }), price({ engine: "kling", unit: "second" })]);
  expect(told(before, after)).toEqual([
    ["AI Modify · Nano Banana 2", "Basic", "$0.20 per image", "$0.18 per image"],
    ["AI Modify · Kling", "Basic", null, "$0.20 per second"],
    ["AI Modify · Kling", "Pro", null, "$0.16 per second"],
    ["AI Modify · Nano Banana 2 · 4k", "Basic", "$0.30 per image", null],
  ]);
});

it("sees another model, another fee and another end", () => {
  const before = book(1, [price({ plans: { basic: "0.20" } })]);
  expect(told(before, book(2, [price({ plans: { basic: "0.20" }, model: "flat" })], "49.00"))).toEqual([
    ["AI Modify · Nano Banana 2", "Basic", "$0.20 per image", "$0.20 per image, flat"],
    ["a month", "Basic", "$39.00", "$49.00"],
  ]);
  const ended = book(2, [price({ plans: { basic: "0.20" }, effective_to: "2027-01-01T00:00:00Z" })]);
  expect(told(before, ended)).toHaveLength(1);
  expect(told(before, { ...before, version: 9, effective_from: "2027-01-01T00:00:00Z" })).toEqual([]);
});
