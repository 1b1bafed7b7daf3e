/** How many letters came to what. */
export type Counts = Readonly<Record<string, number>>;

export function addCounts(sum: Counts, more: Counts): Counts {
  const added: Record<string, number> = { ...sum };
  for (const [outcome, count] of Object.entries(more)) {
    if (count !== 0) added[outcome] = (added[outcome] ?? 0) + count;
  }
  return added;
}

export function totalOf(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
