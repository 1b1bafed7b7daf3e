import type { Money } from "@/api/types";

// Exact money. An amount is a decimal string from the API to the screen: Intl.NumberFormat formats strings exactly, and
// what little arithmetic the pages need is done on integers of micro-units. Nothing here is ever a float.

export const MINUS = "\u2212";

const DECIMAL = /^-?\d+(\.\d{1,6})?$/;
const MICRO_PLACES = 6;

export interface MoneyStyle {
  /**
   * "cents": two places, for balances. "exact": two to six, for what one operation cost. "whole": none, for axes. A number
   * of places (`placesFor`) has the exact amounts of a column end below each other.
   */
  places?: Places;
  /** Shows `+` before what was added. */
  signed?: boolean;
  locale?: string;
}

type Places = "cents" | "exact" | "whole" | number;

const formatters = new Map<string, Intl.NumberFormat>();

function formatter(currency: string, places: Places, locale: string): Intl.NumberFormat {
  const key = `${currency} ${String(places)} ${locale}`;
  let found = formatters.get(key);
  if (found === undefined) {
    found = new Intl.NumberFormat(locale, {
      style: "currency",
      currency,
      ...fractionOf(places),
      // As the ledger rounds.
      roundingMode: "halfEven",
    });
    formatters.set(key, found);
  }
  return found;
}

function fractionOf(places: Places): { minimumFractionDigits: number; maximumFractionDigits: number } {
  if (places === "exact") return { minimumFractionDigits: 2, maximumFractionDigits: MICRO_PLACES };
  const digits = places === "cents" ? 2 : places === "whole" ? 0 : places;
  return { minimumFractionDigits: digits, maximumFractionDigits: digits };
}

/** How many places, two to six, show every one of these amounts exactly. */
export function placesFor(amounts: readonly Money[]): number {
  return amounts.reduce((most, { amount }) => {
    const fraction = (amount.split(".")[1] ?? "").replace(/0+$/, "");
    return Math.max(most, Math.min(fraction.length, MICRO_PLACES));
  }, 2);
}

/** `-1234.5` in USD is `−$1,234.50`; with `signed`, `2` is `+$2.00`. */
export function formatMoney(money: Money, style: MoneyStyle = {}): string {
  const { places = "cents", signed = false, locale = "en-US" } = style;
  if (!DECIMAL.test(money.amount)) return money.amount;
  const negative = money.amount.startsWith("-");
  const magnitude = negative ? money.amount.slice(1) : money.amount;
  const text = decimalText(formatter(money.currency, places, locale), magnitude);
  if (isZero(money)) return text;
  if (negative) return MINUS + text;
  return signed ? `+${text}` : text;
}

/** Formats a decimal string exactly; the types of the standard library know only numeric literals. */
export function decimalText(format: Intl.NumberFormat, decimal: string): string {
  return format.format(decimal as Intl.StringNumericLiteral);
}

/** `$`, `€`, or the code where the currency has no sign of its own. */
export function currencySign(currency: string, locale = "en-US"): string {
  const parts = formatter(currency, "cents", locale).formatToParts(0);
  return parts.find((part) => part.type === "currency")?.value ?? currency;
}

/** `Dollars`, `Euros`: the currency as a word, for what can be counted in it. */
export function currencyName(currency: string, locale = "en-US"): string {
  const named = new Intl.NumberFormat(locale, { style: "currency", currency, currencyDisplay: "name" });
  const name = named.formatToParts(2).find((part) => part.type === "currency")?.value ?? currency;
  const short = currency === "USD" ? name.replace(/^US /, "") : name;
  return short.charAt(0).toLocaleUpperCase(locale) + short.slice(1);
}

export function isZero(money: Money): boolean {
  return /^-?0+(\.0+)?$/.test(money.amount);
}

export function isNegative(money: Money): boolean {
  return money.amount.startsWith("-") && !isZero(money);
}

/** Micro-units of a decimal string, exact. Throws on what is no decimal. */
export function toMicro(decimal: string): bigint {
  if (!DECIMAL.test(decimal)) throw new RangeError(`not a decimal: ${decimal}`);
  const negative = decimal.startsWith("-");
  const [whole = "0", fraction = ""] = (negative ? decimal.slice(1) : decimal).split(".");
  const micro = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(MICRO_PLACES, "0"));
  return negative ? -micro : micro;
}

/** The decimal string of micro-units, with two to six places. */
export function fromMicro(micro: bigint): string {
  const negative = micro < 0n;
  const digits = (negative ? -micro : micro).toString().padStart(MICRO_PLACES + 1, "0");
  const whole = digits.slice(0, -MICRO_PLACES);
  const fraction = digits.slice(-MICRO_PLACES).replace(/0{1,4}$/, "");
  return `${negative ? "-" : ""}${whole}.${fraction}`;
}

export function addMoney(a: Money, b: Money): Money {
  return { amount: fromMicro(toMicro(a.amount) + toMicro(b.amount)), currency: a.currency };
}

export function compareMoney(a: Money, b: Money): number {
  const difference = toMicro(a.amount) - toMicro(b.amount);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export function negate(money: Money): Money {
  return { amount: fromMicro(-toMicro(money.amount)), currency: money.currency };
}

/**
 * For pixels only: where a mark stands in a chart. Never show this number, show the string it came from.
 */
export function toPixelValue(money: Money): number {
  return Number(money.amount);
}

/** What of `part` in `whole` in per mille, exact; null of nothing. */
export function perMille(part: Money, whole: Money): number | null {
  const total = toMicro(whole.amount);
  if (total === 0n) return null;
  return Number((toMicro(part.amount) * 1000n) / total);
}
