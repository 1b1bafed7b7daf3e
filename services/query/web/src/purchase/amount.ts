import { toMicro } from "@/format";

/** As ingest is configured by default (`purchases.amount_min`, `amount_max`); it has the last word. */
export const AMOUNT_MIN = "50.00";
export const AMOUNT_MAX = "10000.00";

export type AmountError = "missing" | "malformed" | "too_small" | "too_large";
export type ParsedAmount = { amount: string } | { error: AmountError };

/** What a person typed as a decimal string with two places: `$1,200.5` is `1200.50`. */
export function parseAmount(typed: string): ParsedAmount {
  const bare = typed.trim().replace(/^\$/, "").trim();
  if (bare === "") return { error: "missing" };
  // Commas only where thousands are: `1,50` could be one and a half.
  if (!/^(\d{1,9}|\d{1,3}(,\d{3}){1,2})(\.\d{1,2})?$/.test(bare)) return { error: "malformed" };
  const [whole = "0", fraction = ""] = bare.replaceAll(",", "").split(".");
  const amount = `${whole.replace(/^0+(?=\d)/, "")}.${fraction.padEnd(2, "0")}`;
  if (toMicro(amount) < toMicro(AMOUNT_MIN)) return { error: "too_small" };
  if (toMicro(amount) > toMicro(AMOUNT_MAX)) return { error: "too_large" };
  return { amount };
}
