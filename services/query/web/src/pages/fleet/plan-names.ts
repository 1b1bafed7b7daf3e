import type { AccountListed, PriceBook } from "@/api/types";

/** By currency, then by the plan's code. */
export type PlanNames = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Each once, in one order, whatever the accounts stand in. */
export function currenciesOf(accounts: readonly Pick<AccountListed, "currency">[]): string[] {
  return [...new Set(accounts.map(({ currency }) => currency))].sort();
}

/** The names of plans as the books of these currencies have them; null: there is no book, or it is not here yet. */
export function planNames(currencies: readonly string[], books: readonly (Pick<PriceBook, "plans"> | null)[]): PlanNames {
  return new Map(
    currencies.map((currency, index) => [currency, new Map(books[index]?.plans.map(({ code, name }) => [code, name]))]),
  );
}
