import type { Price, PriceBook, SimulationOfPeriod } from "@/api/types";
import { fromMicro, perMille, toMicro } from "@/format";
import { addDays } from "@/format/date";

import { rowName } from "./changes";

const DAYS_MAX = 92;
const QUANTITY = /^\d{1,9}(\.\d{1,6})?$/;
const ACCOUNT = /^acc_[A-Za-z0-9_-]{1,64}$/;

export interface WorkChoice {
  key: string;
  name: string;
  price: Price;
}

/** Kinds of work that a book has prices for; rows that follow each other in time are one. */
export function workChoices(book: PriceBook): WorkChoice[] {
  const found = new Map<string, WorkChoice>();
  for (const price of book.prices) {
    const key = [price.service, price.engine, price.variant ?? "", price.country ?? "", price.unit].join("/");
    if (!found.has(key)) found.set(key, { key, name: `${rowName(book, price)} \u00b7 ${price.unit}`, price });
  }
  return [...found.values()];
}

/** Whether the price depends on what the month counted before. */
export function isCounted(price: Price): boolean {
  return (price.tiers ?? []).length > 0 || Object.keys(price.included ?? {}).length > 0;
}

export function isQuantity(typed: string): boolean {
  return QUANTITY.test(typed.trim()) && toMicro(typed.trim()) > 0n;
}

/** Zero is a quantity that was counted. */
export function isCount(typed: string): boolean {
  return QUANTITY.test(typed.trim());
}

export function workOf(price: Price, plan: string, quantity: string, countedBefore: string) {
  return {
    service: price.service,
    engine: price.engine,
    ...(price.variant ? { variant: price.variant } : {}),
    ...(price.country ? { country: price.country } : {}),
    unit: price.unit,
    quantity: quantity.trim(),
    plan,
    ...(isCounted(price) && countedBefore.trim() !== "" ? { counted_before: countedBefore.trim() } : {}),
  };
}

export function isAccountId(typed: string): boolean {
  return ACCOUNT.test(typed.trim());
}

/** What is wrong with two calendar days, both of them in the period. */
export function daysError(first: string, last: string): "invalid" | "long" | null {
  if (first === "" || last === "" || last < first) return "invalid";
  return addDays(first, DAYS_MAX - 1) < last ? "long" : null;
}

/** Two days of UTC, the last one included, as the half-open period of instants. */
export function periodOf(accountId: string, first: string, last: string, plan: string) {
  return {
    account_id: accountId.trim(),
    from: `${first}T00:00:00Z`,
    to: `${addDays(last, 1)}T00:00:00Z`,
    ...(plan === "" ? {} : { plan }),
  };
}

/** How much more the period would come to, in per mille of what was charged; null where nothing was. */
export function changeOf({ difference, charged }: SimulationOfPeriod["total"]): number | null {
  return perMille(difference, charged);
}

/** The one amount less the other. */
export function lessOf(amount: { amount: string; currency: string }, other: { amount: string }) {
  return { amount: fromMicro(toMicro(amount.amount) - toMicro(other.amount)), currency: amount.currency };
}
