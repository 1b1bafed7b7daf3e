import type { FleetUsage, Money } from "@/api/types";
import { addMoney, compareMoney, perMille } from "@/format";

export interface Spend {
  /** Null: all that is beyond the top. */
  key: string | null;
  name: string;
  count: number;
  failures: number;
  amount: Money;
  cost: Money | null;
  margin: Money | null;
  /** Of all that was spent, in per mille. */
  share: number | null;
}

/** The groups of all buckets added up by key, largest first; what is beyond the top stands last, however much it is. */
export function spendByKey(usage: FleetUsage): Spend[] {
  const rows = new Map<string | null, Spend>();
  for (const group of usage.buckets.flatMap((bucket) => bucket.groups)) {
    const key = group.key ?? null;
    const before = rows.get(key);
    rows.set(key, {
      key,
      name: group.name ?? key ?? "",
      count: (before?.count ?? 0) + group.count,
      failures: (before?.failures ?? 0) + group.failures,
      amount: before === undefined ? group.amount : addMoney(before.amount, group.amount),
      cost: addOptional(before?.cost, group.provider_cost),
      margin: addOptional(before?.margin, group.margin),
      share: null,
    });
  }
  const beyond = (row: Spend): number => (row.key === null ? 1 : 0);
  return [...rows.values()]
    .sort((a, b) => beyond(a) - beyond(b) || compareMoney(b.amount, a.amount))
    .map((row) => ({ ...row, share: perMille(row.amount, usage.total.amount) }));
}

function addOptional(a: Money | null | undefined, b: Money | undefined): Money | null {
  if (b === undefined) return a ?? null;
  return a === null || a === undefined ? b : addMoney(a, b);
}
