import type { Price } from "@/api/types";
import { formatMoney, formatQuantity } from "@/format";
import { text } from "@/text";

const { pricing } = text;

/** What a row says for a plan, as "first 1,000 $0.00, then $0.08"; `null` where it has no price. */
export function ratesText(price: Price, plan: string, currency: string): string | null {
  const money = (amount: string): string => formatMoney({ amount, currency }, { places: "exact" });
  const rates = tierRates(price, plan, money) ?? flatRate(price, plan, money);
  if (rates === null) return null;
  const included = price.included?.[plan];
  const minimum = price.minimum?.[plan];
  return [
    included === undefined ? rates : pricing.included(formatQuantity(included), rates),
    ...(minimum === undefined ? [] : [pricing.minimum(money(minimum))]),
  ].join(", ");
}

function flatRate(price: Price, plan: string, money: (amount: string) => string): string | null {
  const amount = price.plans[plan];
  return amount === undefined ? null : money(amount);
}

function tierRates(price: Price, plan: string, money: (amount: string) => string): string | null {
  const tiers = (price.tiers ?? []).flatMap(({ from, to, plans }) => {
    const amount = plans[plan];
    return amount === undefined ? [] : [{ from, to, amount: money(amount) }];
  });
  if (tiers.length === 0) return null;
  const say = price.model === "volume" ? pricing.volume : pricing.tier;
  return tiers.map((tier, index) => say(tier.amount, tier.to ? formatQuantity(tier.to) : null, index)).join(", ");
}

/** What the prices of a row are for: "per image", "per 10 images begun". */
export function unitOf(price: Price): string {
  if (price.model === "flat") return pricing.flat(price.unit);
  if (price.model === "package" && price.pack_size) return pricing.pack(formatQuantity(price.pack_size), price.unit);
  return pricing.per(price.unit);
}
