import type { NewRepricing } from "@/api/contract";
import { addDays, isoDate } from "@/format";

/** What is to be priced anew, as it is typed; it stands in the address. */
export interface Draft {
  /** Null: the newest book. */
  version: number | null;
  /** Null: all with charges of the period. */
  accounts: readonly string[] | null;
  /** Calendar days of UTC, the last one included. */
  first: string;
  last: string;
}

const DAYS = 30;
const ACCOUNT = /^acc_[A-Za-z0-9_-]{1,64}$/;
// Not `account`: that is whose pages are shown, and is taken out of every address.
const ACCOUNTS = "of";
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const ZONE = "UTC";
const MIDNIGHT = "T00:00:00Z";
export const ACCOUNTS_MAX = 200;

export function readDraft(search: URLSearchParams, now: Date): Draft {
  const version = Number(search.get("version"));
  const accounts = search.getAll(ACCOUNTS).filter((id) => ACCOUNT.test(id));
  const day = (name: string, fallback: string): string => {
    const value = search.get(name) ?? "";
    return DAY.test(value) ? value : fallback;
  };
  const today = isoDate(now, ZONE);
  return {
    version: Number.isSafeInteger(version) && version > 0 ? version : null,
    accounts: accounts.length === 0 ? null : accounts,
    first: day("from", addDays(today, 1 - DAYS)),
    last: day("to", today),
  };
}

export function writeDraft({ version, accounts, first, last }: Draft): URLSearchParams {
  const search = new URLSearchParams({ from: first, to: last });
  if (version !== null) search.set("version", String(version));
  for (const account of accounts ?? []) search.append(ACCOUNTS, account);
  return search;
}

/** The draft that asks for the same as a re-pricing did; null: its period is no whole days of UTC. */
export function draftOf(asked: { price_version: number; from: string; to: string }, accounts: readonly string[]): Draft {
  const last = new Date(Date.parse(asked.to) - 1).toISOString();
  return {
    version: asked.price_version,
    accounts: accounts.length === 0 ? null : accounts,
    first: asked.from.slice(0, 10),
    last: last.slice(0, 10),
  };
}

/** Ids that were typed or pasted together; the first that is none. */
export function idsOf(typed: string): { ids: string[]; wrong?: string } {
  const ids = typed.split(/[\s,;]+/).filter((one) => one !== "");
  const wrong = ids.find((id) => !ACCOUNT.test(id));
  return wrong === undefined ? { ids } : { ids: [], wrong };
}

export function askedBy({ accounts, first, last }: Draft, version: number): NewRepricing {
  return {
    ...(accounts === null ? {} : { accounts: [...accounts].sort() }),
    from: first + MIDNIGHT,
    to: addDays(last, 1) + MIDNIGHT,
    price_version: version,
  };
}

/** Whole days of UTC, the last one included; null where the period is none. */
export function daysOf(from: string, to: string): { first: string; last: string } | null {
  const isMidnight = (instant: string): boolean => new Date(instant).toISOString().endsWith("T00:00:00.000Z");
  if (!isMidnight(from) || !isMidnight(to)) return null;
  return { first: isoDate(from, ZONE), last: addDays(isoDate(to, ZONE), -1) };
}
