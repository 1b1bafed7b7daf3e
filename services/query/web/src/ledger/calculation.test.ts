import { describe, expect, it } from "vitest";

import type { Pricing } from "@/api/types";

import { calculationText } from "./calculation";

const usd = (amount: string) => ({ amount, currency: "USD" });
type Part = Pricing["parts"][number];
const part = (kind: string, quantity: string | null, price: string, more: Partial<Part> = {}): Part => ({
  kind,
  quantity,
  unit_price: usd(price),
  exact_amount: "0.00",
  ...more,
});
const said = (parts: Part[], test_factor: string | null = null): string =>
  calculationText({
    price_model: "graduated",
    quantity: "1010",
    unit: "image",
    unit_price: usd("0.08"),
    pricing: { parts, month: null, test_factor },
  });

describe("a calculation", () => {
  it("has its quantity and price as they are written everywhere", () => {
    const of = (price_model: string, quantity: string, price: string): string =>
      calculationText({ price_model, quantity, unit: "second", unit_price: usd(price) });
    expect(of("per_unit", "1", "0.240000")).toBe("1 second \u00d7 $0.24");
    expect(of("per_unit", "1.000000", "0.0125")).toBe("1 second \u00d7 $0.0125");
    expect(of("per_unit", "1234.5", "0.20")).toBe("1,234.5 seconds \u00d7 $0.20");
    expect(of("flat", "5", "0.20")).toBe("flat price $0.20");
  });

  it("names each of its parts", () => {
    expect(said([part("included", "10", "0.00"), part("tier", "1000", "0.08")])).toBe(
      "10 images included + 1,000 images \u00d7 $0.08",
    );
    const packs = (count: number): Part => part("package", "25", "0.50", { packs: count, pack_size: "10" });
    expect(said([packs(3), part("minimum", null, "2.00")])).toBe("3 packs of 10 images \u00d7 $0.50, at least $2.00");
    expect(said([packs(1)], "0.5")).toBe("(1 pack of 10 images \u00d7 $0.50) \u00d7 0.5 as a test");
    expect(said([part("flat", "1010", "3.00")])).toBe("flat price $3.00");
  });
});
