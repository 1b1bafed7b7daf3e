import type { Price, PriceBook } from "@/api/types";

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

/** The rows of a book by service, in the book's order. */
export function priceGroups(book: PriceBook, now: number): PriceGroup[] {
  const engineName = new Map(book.engines.map((engine) => [engine.code, engine.name]));
  return book.services
    .map((service) => ({
      service: service.code,
      name: service.name,
      rows: book.prices
        .filter((price) => price.service === service.code)
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
