import type { Price, PriceBook } from "@/api/types";
import { formatMoney } from "@/format";
import { ratesText, unitOf } from "@/pages/pricing/rates";
import { text } from "@/text";

/** A price that differs between two books; null where it is in one of them only. */
export interface Change {
  key: string;
  row: string;
  plan: string;
  before: string | null;
  after: string | null;
}

/** Every plan's price and fee that differs, in the order of the second book; what it lacks comes last. */
export function changesBetween(before: PriceBook, after: PriceBook): Change[] {
  const plans = new Map([...before.plans, ...after.plans].map((plan) => [plan.code, plan.name]));
  const [old, now] = [cells(before), cells(after)];
  const changes: Change[] = [];
  for (const key of new Set([...now.keys(), ...old.keys()])) {
    const [was, is] = [old.get(key), now.get(key)];
    if (was?.said === is?.said) continue;
    const cell = is ?? was;
    if (cell === undefined) continue;
    const plan = plans.get(cell.plan) ?? cell.plan;
    changes.push({ key, row: cell.row, plan, before: was?.said ?? null, after: is?.said ?? null });
  }
  return changes;
}

interface Cell {
  row: string;
  plan: string;
  said: string;
}

function cells(book: PriceBook): Map<string, Cell> {
  const found = new Map<string, Cell>();
  const seen = new Map<string, number>();
  for (const price of book.prices ?? []) {
    const key = keyOf(price);
    // Rows of the same work follow each other in time.
    const index = seen.get(key) ?? 0;
    seen.set(key, index + 1);
    for (const plan of planCodes(price)) {
      const rates = ratesText(price, plan, book.currency);
      if (rates === null) continue;
      const said = [rates, unitOf(price), spanOf(price)].filter(Boolean).join(" ");
      found.set([key, index, plan].join("/"), { row: rowName(book, price), plan, said });
    }
  }
  for (const plan of book.plans ?? []) {
    const said = formatMoney({ amount: plan.monthly_fee, currency: book.currency });
    found.set(`fee/${plan.code}`, { row: text.pricing.perMonth, plan: plan.code, said });
  }
  return found;
}

function keyOf(price: Price): string {
  return [price.service, price.engine, price.variant ?? "", price.country ?? "", price.unit].join("/");
}

function planCodes(price: Price): string[] {
  return [...new Set([...Object.keys(price.plans ?? {}), ...(price.tiers ?? []).flatMap((tier) => Object.keys(tier.plans))])];
}

function spanOf(price: Price): string {
  const { effective_from: from, effective_to: to } = price;
  return [from ? text.pricing.fromDate(from) : "", to ? text.pricing.until(to) : ""].filter(Boolean).join(" ");
}

/** `AI Modify · Nano Banana 2 · 4k`. */
export function rowName(book: PriceBook, price: Price): string {
  const name = (list: PriceBook["services"], code: string): string =>
    list.find((named) => named.code === code)?.name ?? code;
  return [
    name(book.services ?? [], price.service),
    name(book.engines ?? [], price.engine),
    ...(price.variant ? [text.pricing.variant(price.variant)] : []),
    ...(price.country ? [price.country] : []),
  ].join(" \u00b7 ");
}
