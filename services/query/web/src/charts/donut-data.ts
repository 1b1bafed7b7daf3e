import { fromMicro, toMicro } from "@/format";
import { engineLook, OTHER_LOOK, type EngineLook } from "./engine-colours";

export interface DonutItem {
  /** Engine code; decides the look. */
  readonly key: string;
  readonly label: string;
  readonly amount: string;
  readonly count: number;
}

export interface Slice extends DonutItem {
  readonly look: EngineLook;
  /** Tenths of a percent of the total. */
  readonly share: number;
  /** Labels of what Other stands for; empty else. */
  readonly members: readonly string[];
}

export interface DonutData {
  readonly slices: readonly Slice[];
  readonly total: string;
  readonly count: number;
}

export const SLICES_MAX = 6;
export const OTHER_KEY = "other";

/**
 * `part` of `whole` in tenths of a percent, rounded half up, by integers alone: 1000 is all of it. 0 when there is no
 * whole.
 */
export function shareInTenths(part: string, whole: string): number {
  const total = toMicro(whole);
  if (total <= 0n) return 0;
  return Number((toMicro(part) * 2000n + total) / (2n * total));
}

function byAmount(a: DonutItem, b: DonutItem): number {
  const difference = toMicro(b.amount) - toMicro(a.amount);
  if (difference !== 0n) return difference > 0n ? 1 : -1;
  return b.count - a.count || a.label.localeCompare(b.label);
}

function merged(items: readonly DonutItem[]): DonutItem[] {
  const byKey = new Map<string, DonutItem>();
  for (const item of items) {
    const known = byKey.get(item.key);
    byKey.set(
      item.key,
      known
        ? {
            ...known,
            count: known.count + item.count,
            amount: fromMicro(toMicro(known.amount) + toMicro(item.amount)),
          }
        : item,
    );
  }
  return [...byKey.values()];
}

function other(items: readonly DonutItem[], label: string): DonutItem {
  return {
    key: OTHER_KEY,
    label,
    amount: fromMicro(items.reduce((sum, item) => sum + toMicro(item.amount), 0n)),
    count: items.reduce((sum, item) => sum + item.count, 0),
  };
}

/**
 * Slices of a whole: one an engine, largest first, at most six and the rest as Other, always last. The shares are of the
 * exact total; what cost nothing is left out, its rows stand in the breakdown.
 */
export function donutData(items: readonly DonutItem[], otherLabel: string, slicesMax = SLICES_MAX): DonutData {
  const spent = merged(items)
    .filter((item) => toMicro(item.amount) > 0n)
    .sort(byAmount);
  const total = fromMicro(spent.reduce((sum, item) => sum + toMicro(item.amount), 0n));
  const apart = spent.slice(0, slicesMax);
  const rest = spent.slice(slicesMax);
  const slice = (item: DonutItem, look: EngineLook, members: readonly string[]): Slice => ({
    ...item,
    look,
    members,
    share: shareInTenths(item.amount, total),
  });
  const slices = apart.map((item) => slice(item, engineLook(item.key), []));
  if (rest.length > 0) {
    slices.push(
      slice(
        other(rest, otherLabel),
        OTHER_LOOK,
        rest.map((item) => item.label),
      ),
    );
  }
  return { slices, total, count: spent.reduce((sum, item) => sum + item.count, 0) };
}

/** Next slice under an arrow key, around the ring; null for other keys. */
export function nextSlice(current: number, key: string, count: number): number | null {
  if (count === 0) return null;
  switch (key) {
    case "ArrowRight":
    case "ArrowDown":
      return (current + 1) % count;
    case "ArrowLeft":
    case "ArrowUp":
      return (current - 1 + count) % count;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}
