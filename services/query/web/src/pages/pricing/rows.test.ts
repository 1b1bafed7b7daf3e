import { expect, it } from "vitest";

import type { PriceBook } from "@/api/types";

import { priceGroups } from "./rows";

const service = (code: string) => ({ code, name: code.toUpperCase(), engines: [] });
const price = (code: string) => ({ service: code, engine: code, unit: "image", model: "per_unit", plans: {} });
const book = (...codes: string[]): PriceBook =>
  ({ services: codes.map(service), engines: [], prices: codes.map(price) }) as unknown as PriceBook;

it("has the services in the book's order, and what is sold as Standard AI as one", () => {
  const groups = priceGroups(book("ai_modify", "background_removal", "sms", "face_switch"), 0);
  expect(groups.map(({ name, rows }) => [name, ...rows.map(({ engine }) => engine)])).toEqual([
    ["AI_MODIFY", "ai_modify"],
    ["Standard AI", "background_removal", "face_switch"],
    ["SMS", "sms"],
  ]);
});

it("leaves out a service that nothing is asked for", () => {
  expect(priceGroups({ ...book("ai_modify", "sms"), prices: [] }, 0)).toEqual([]);
});
