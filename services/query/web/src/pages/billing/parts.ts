/** Between two reads of the parts while charges come. */
const PACE_MS = 1_000;
/** And after one that failed. */
const AFTER_ERROR_MS = 5_000;

/** How long the next read waits, by when the last ones came back. */
export function waitFor(last: { dataUpdatedAt: number; errorUpdatedAt: number; now: number }): number {
  const next = Math.max(last.dataUpdatedAt + PACE_MS, last.errorUpdatedAt === 0 ? 0 : last.errorUpdatedAt + AFTER_ERROR_MS);
  return Math.max(0, next - last.now);
}
