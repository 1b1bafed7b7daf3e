import { MINUS, decimalText } from "./money";

const locale = "en-US";
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat(locale, { maximumFractionDigits: 6 });
const percent = new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** `1204` is `1,204`. */
export function formatCount(count: number): string {
  return whole.format(count).replace("-", MINUS);
}

/** A quantity, a decimal string: `5.50` is `5.5`. */
export function formatQuantity(quantity: string): string {
  return decimalText(exact, quantity).replace("-", MINUS);
}

/** 273 per mille is `27.3%`. */
export function formatPerMille(perMille: number): string {
  return percent.format(perMille / 1000).replace("-", MINUS);
}

/** How much more than before, in per mille; null where there was nothing before. */
export function changePerMille(now: bigint, before: bigint): number | null {
  if (before === 0n) return null;
  const base = before < 0n ? -before : before;
  return Number(((now - before) * 1000n) / base);
}

/** `1 charge`, `14 charges`. */
export function plural(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
