import type { Money, Pricing } from "@/api/types";
import { formatCount, formatMoney, formatQuantity } from "@/format";
import { text } from "@/text";

const { calculation: words } = text.common;

/** What was priced, and how. */
export interface Priced {
  price_model?: string | null | undefined;
  quantity: string;
  unit: string;
  unit_price: Money;
  /** The parts, where it was more than a price times a quantity. */
  pricing?: Pricing | null | undefined;
}

/** How an amount came about, in a line: `5 seconds × $0.20`; `10 images included + 1,000 images × $0.08`. */
export function calculationText({ price_model, quantity, unit, unit_price, pricing }: Priced): string {
  if (pricing) return partsText(pricing, unit);
  const price = money(unit_price);
  return price_model === "flat" ? words.flat(price) : words.each(many(quantity, unit), price);
}

function partsText({ parts, test_factor: factor }: Pricing, unit: string): string {
  const sum = parts
    .filter(({ kind }) => kind !== "minimum")
    .map((part) => partText(part, unit))
    .join(words.and);
  const minimum = parts.find(({ kind }) => kind === "minimum");
  const whole = minimum === undefined ? sum : words.atLeast(sum, money(minimum.unit_price));
  return factor ? words.test(whole, formatQuantity(factor)) : whole;
}

function partText({ kind, quantity, unit_price, packs, pack_size }: Pricing["parts"][number], unit: string): string {
  const price = money(unit_price);
  switch (kind) {
    case "included":
      return words.included(many(quantity ?? "0", unit));
    case "flat":
      return words.flat(price);
    case "package":
      return words.packs(formatCount(packs ?? 0), packs === 1, many(pack_size ?? "0", unit), price);
    default:
      return words.each(many(quantity ?? "0", unit), price);
  }
}

const money = (amount: Money): string => formatMoney(amount, { places: "exact" });

function many(quantity: string, unit: string): string {
  const shown = formatQuantity(quantity);
  return words.quantity(shown, unit, shown === "1");
}
