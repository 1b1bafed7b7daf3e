/** Where the reader of a chart stands. `index` -1: nowhere yet. */
export interface Cursor {
  readonly index: number;
  readonly series: number;
  readonly open: boolean;
}

export interface Extent {
  /** Points of each series that can be stood on. */
  readonly lengths: readonly number[];
  /** How far PageUp and PageDown go. */
  readonly page: number;
}

export type Move =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "point"; readonly index: number; readonly series?: number }
  | { readonly kind: "focus" }
  | { readonly kind: "leave" };

export const CLOSED: Cursor = { index: -1, series: 0, open: false };

const clamp = (value: number, max: number): number => Math.min(Math.max(0, value), Math.max(0, max));

function lengthOf(extent: Extent, series: number): number {
  return extent.lengths[series] ?? 0;
}

function to(cursor: Cursor, extent: Extent, index: number, series = cursor.series): Cursor {
  const length = lengthOf(extent, series);
  if (length === 0) return cursor;
  return { series, index: clamp(index, length - 1), open: true };
}

function byKey(cursor: Cursor, extent: Extent, key: string): Cursor {
  const last = lengthOf(extent, cursor.series) - 1;
  // From nowhere the newest point is the first: it is what people come for.
  const from = cursor.index === -1 ? last + (key === "ArrowLeft" || key === "PageUp" ? 1 : 0) : cursor.index;
  switch (key) {
    case "ArrowLeft":
      return to(cursor, extent, from - 1);
    case "ArrowRight":
      return to(cursor, extent, cursor.index === -1 ? last : from + 1);
    case "PageUp":
      return to(cursor, extent, from - extent.page);
    case "PageDown":
      return to(cursor, extent, from + extent.page);
    case "Home":
      return to(cursor, extent, 0);
    case "End":
      return to(cursor, extent, last);
    case "ArrowUp":
    case "ArrowDown":
      return bySeries(cursor, extent, key === "ArrowDown" ? 1 : -1);
    case "Escape":
      return { ...cursor, open: false };
    default:
      return cursor;
  }
}

function bySeries(cursor: Cursor, extent: Extent, step: number): Cursor {
  const count = extent.lengths.length;
  if (count < 2) return cursor;
  const series = (cursor.series + step + count) % count;
  const index = cursor.index === -1 ? lengthOf(extent, series) - 1 : cursor.index;
  return to(cursor, extent, index, series);
}

/** The whole of the chart's behaviour under keys, pointer and focus, as a function of values. */
export function moveCursor(cursor: Cursor, move: Move, extent: Extent): Cursor {
  switch (move.kind) {
    case "key":
      return byKey(cursor, extent, move.key);
    case "point":
      return to(cursor, extent, move.index, move.series ?? cursor.series);
    case "focus":
      return to(cursor, extent, cursor.index === -1 ? lengthOf(extent, cursor.series) - 1 : cursor.index);
    case "leave":
      return { ...cursor, open: false };
  }
}

const HANDLED = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);

/** Whether the chart takes the key: then the page must not scroll by it. */
export function isChartKey(key: string): boolean {
  return HANDLED.has(key);
}

/** A page of blocks: a quarter of a year, a week of days, a quarter of a day of hours. */
export function pageOf(size: string): number {
  const pages: Record<string, number> = { "15m": 96, hour: 6, day: 7, week: 4, month: 3, year: 5 };
  return pages[size] ?? 10;
}
