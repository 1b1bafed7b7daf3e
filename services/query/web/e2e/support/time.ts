const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** The n-th Sunday of a month, in New York: clocks change there on the second of March and the first of November. */
function sunday(year: number, month: number, nth: number): Date {
  const first = new Date(Date.UTC(year, month, 1));
  return new Date(first.getTime() + (((7 - first.getUTCDay()) % 7) + 7 * (nth - 1)) * DAY_MS);
}

function lastBefore(now: Date, of: (year: number) => Date): Date {
  const year = now.getUTCFullYear();
  const candidate = of(year);
  return candidate.getTime() < now.getTime() - 2 * DAY_MS ? candidate : of(year - 1);
}

/** The last day of 23 hours in New York, and its midnight there (05:00 UTC). */
export function shortDay(now: Date): { day: string; midnight: Date } {
  const date = lastBefore(now, (year) => sunday(year, 2, 2));
  return { day: date.toISOString().slice(0, 10), midnight: new Date(date.getTime() + 5 * HOUR_MS) };
}

/** The last day of 25 hours in New York, and its midnight there (04:00 UTC). */
export function longDay(now: Date): { day: string; midnight: Date } {
  const date = lastBefore(now, (year) => sunday(year, 10, 1));
  return { day: date.toISOString().slice(0, 10), midnight: new Date(date.getTime() + 4 * HOUR_MS) };
}

export const hours = (count: number): number => count * HOUR_MS;
export const minutes = (count: number): number => count * 60_000;
export const ago = (ms: number): Date => new Date(Date.now() - ms);
