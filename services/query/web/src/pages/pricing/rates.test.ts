import { expect, test } from "vitest";

import type { Price } from "@/api/types";
import { text } from "@/text";

import { ratesText, unitOf } from "./rates";

function row(members: Partial<Price>): Price {
  return { service: "ai_modify", engine: "nano", unit: "image", model: "per_unit", plans: {}, ...members };
}

const tiers = [
  { from: "0", to: "1000", plans: { basic: "0.00" } },
  { from: "1000", to: "2000", plans: { basic: "0.08" } },
  { from: "2000", plans: { basic: "0.05" } },
];

test("given a plain price, then it is shown as ever", () => {
  expect(ratesText(row({ plans: { basic: "0.20" } }), "basic", "USD")).toBe("$0.20");
  expect(ratesText(row({ plans: { basic: "0.20" } }), "pro", "USD")).toBeNull();
  expect(unitOf(row({}))).toBe("per image");
});

test("given tiers, then each says how far it reaches", () => {
  expect(ratesText(row({ model: "graduated", tiers }), "basic", "USD")).toBe(
    "first 1,000 $0.00, then up to 2,000 $0.08, then $0.05",
  );
  expect(ratesText(row({ model: "volume", tiers }), "basic", "USD")).toBe(
    "all $0.00 up to 1,000, all $0.08 up to 2,000, all $0.05 beyond",
  );
  expect(ratesText(row({ model: "graduated", tiers }), "pro", "USD")).toBeNull();
});

test("given packs, an included quantity and a minimum, then all of it is said", () => {
  const price = row({ model: "package", pack_size: "10", plans: { basic: "0.50" }, included: { basic: "30" } });
  expect(ratesText({ ...price, minimum: { basic: "1.00" } }, "basic", "USD")).toBe(
    "30 a month included, then $0.50, at least $1.00",
  );
  expect(unitOf(price)).toBe("per 10 image begun");
});

test("a variant is named as people say it", () => {
  expect(["zone_a", "1080p_audio", "high"].map(text.pricing.variant)).toEqual(["zone A", "1080p audio", "high"]);
});
