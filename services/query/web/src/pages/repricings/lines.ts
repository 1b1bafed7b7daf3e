import type { RepricingLine, RepricingPreview, RepricingSums } from "@/api/contract";
import { addMoney } from "@/format";
import { text } from "@/text";

export interface AccountLine extends RepricingLine {
  account_id: string;
  key: string;
}

/** The lines that change something, or leave out what somebody has to see to, with whose they are; most changes first. */
export function linesOf({ accounts }: RepricingPreview): AccountLine[] {
  const lines = accounts.flatMap(({ account_id, lines }) =>
    lines.filter(isTold).map((line) => ({ ...line, account_id, key: [account_id, line.event_id ?? "", line.service, line.engine].join("/") })),
  );
  return lines.sort((a, b) => b.changes - a.changes || (a.key < b.key ? -1 : 1));
}

/** A busy month has thousands of lines where all is as it was: their charges are counted by why they stay. */
function isTold({ changes, left_out }: RepricingLine): boolean {
  return changes > 0 || Object.keys(left_out).some((reason) => text.repricings.leftOut[reason]?.isFine !== true);
}

export interface Staying {
  reason: string;
  count: number;
  /** Nothing is to be done about it. */
  isFine: boolean;
}

/** Charges that are not priced anew, by why: those that somebody has to see to first. */
export function stayingOf(lines: readonly RepricingLine[]): Staying[] {
  const counts = new Map<string, number>();
  for (const line of lines) {
    for (const [reason, count] of Object.entries(line.left_out)) counts.set(reason, (counts.get(reason) ?? 0) + count);
  }
  return [...counts]
    .map(([reason, count]) => ({ reason, count, isFine: text.repricings.leftOut[reason]?.isFine ?? false }))
    .sort((a, b) => Number(a.isFine) - Number(b.isFine) || b.count - a.count);
}

/** All accounts together; null of none. They pay in one currency, that of the book. */
export function totalOf(accounts: readonly RepricingSums[]): RepricingSums | null {
  const [first, ...rest] = accounts;
  if (first === undefined) return null;
  return rest.reduce<RepricingSums>(
    (sum, one) => ({
      changes: sum.changes + one.changes,
      was: addMoney(sum.was, one.was),
      would_be: addMoney(sum.would_be, one.would_be),
      difference: addMoney(sum.difference, one.difference),
    }),
    { changes: first.changes, was: first.was, would_be: first.would_be, difference: first.difference },
  );
}
