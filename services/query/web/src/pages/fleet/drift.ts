import type { Drift, DriftExample } from "@/api/types";

/** As the alert ReconciliationStale: longer without a look means that nobody checks. */
const STALE_MS = 30 * 60_000;

/** An account that is off in one way. */
export interface Off {
  readonly kind: string;
  readonly example: DriftExample;
}

export type DriftState =
  | { readonly is: "never" }
  | { readonly is: "stale"; readonly since: string }
  | { readonly is: "found" }
  | { readonly is: "first"; readonly since: string }
  | { readonly is: "fine"; readonly at: string };

/** What is to be said first. What was found stays true however long ago it was. */
export function driftState(drift: Drift, nowMs: number): DriftState {
  const { began_at: began, looked_at: looked, passed_at: passed, data } = drift;
  if (!looked || !began) return { is: "never" };
  if (data.some(({ accounts }) => accounts > 0)) return { is: "found" };
  if (isStale(drift, nowMs)) return { is: "stale", since: looked };
  return passed ? { is: "fine", at: passed } : { is: "first", since: began };
}

export function isStale(drift: Drift, nowMs: number): boolean {
  return Boolean(drift.looked_at) && nowMs - Date.parse(drift.looked_at ?? "") > STALE_MS;
}

/** Every account that is named, by kind; and of each kind how many are not. */
export function offOf({ data }: Drift): { rows: Off[]; unnamed: { kind: string; count: number }[] } {
  return {
    rows: data.flatMap(({ kind, examples }) => examples.map((example) => ({ kind, example }))),
    unnamed: data
      .map(({ kind, accounts, examples }) => ({ kind, count: accounts - examples.length }))
      .filter(({ count }) => count > 0),
  };
}

/** Accounts that are off in any way; those that are not named are counted by the kind that has most of them. */
export function accountsOff({ data }: Drift): number {
  const named = new Set(data.flatMap(({ examples }) => examples.map(({ account_id: id }) => id)));
  return Math.max(named.size, ...data.map(({ accounts }) => accounts));
}
