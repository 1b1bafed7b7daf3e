import { STANDARD_AI } from "@/api/standard-ai";
import type { Price, PriceBook } from "@/api/types";
import { text } from "@/text";

export interface PriceRow {
  price: Price;
  engine: string;
  /** Whether the row's time has not come, has come, or is over. */
  phase: "future" | "current" | "retired";
}

export interface PriceGroup {
  service: string;
  name: string;
  rows: PriceRow[];
}

/** The rows of a book by service, in the book's order; Standard AI stands where the first of its services does. */
export function priceGroups(book: PriceBook, now: number): PriceGroup[] {
  const engineName = new Map(book.engines.map((engine) => [engine.code, engine.name]));
  const standard = book.services.filter(({ code }) => STANDARD_AI.includes(code)).map(({ code }) => code);
  return book.services
    .filter(({ code }) => code === standard[0] || !standard.includes(code))
    .map(({ code, name }) => ({
      service: code,
      name: code === standard[0] ? text.common.standardAi : name,
      rows: book.prices
        .filter((price) => (code === standard[0] ? standard.includes(price.service) : price.service === code))
        .map((price) => ({
          price,
          engine: engineName.get(price.engine) ?? price.engine,
          phase: phaseOf(price, now),
        })),
    }))
    .filter((group) => group.rows.length > 0);
}

function phaseOf(price: Price, now: number): PriceRow["phase"] {
  if (price.effective_to && Date.parse(price.effective_to) <= now) return "retired";
  if (price.effective_from && Date.parse(price.effective_from) > now) return "future";
  return "current";
}
