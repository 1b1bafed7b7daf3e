import type { Transaction } from "@/api/types";

/**
 * Rows of a list with those that came by the stream, newest first: each once, by its `seq`, at most `limit`. What comes
 * twice (a resumed stream, a list that already had it) changes nothing.
 */
export function mergeRows(
  rows: readonly Transaction[],
  incoming: readonly Transaction[],
  limit: number,
): readonly Transaction[] {
  const known = new Set(rows.map((row) => row.seq));
  const fresh = incoming.filter((row) => !known.has(row.seq) && known.add(row.seq));
  if (fresh.length === 0) return rows.length > limit ? rows.slice(0, limit) : rows;
  return [...fresh, ...rows].sort((a, b) => b.seq - a.seq).slice(0, limit);
}

/** The newest `seq` of a list, 0 of an empty one. */
export function topSeq(rows: readonly Transaction[]): number {
  return rows[0]?.seq ?? 0;
}

/** What the rows above `seq` are. */
export function rowsAbove(rows: readonly Transaction[], seq: number): readonly Transaction[] {
  return rows.filter((row) => row.seq > seq);
}
