import { describe, expect, it } from "vitest";
import { CLOSED, isChartKey, moveCursor, type Cursor, type Extent } from "./keyboard";

const extent: Extent = { lengths: [11, 12], page: 3 };
const press = (cursor: Cursor, ...keys: string[]): Cursor =>
  keys.reduce((at, key) => moveCursor(at, { kind: "key", key }, extent), cursor);

describe("moveCursor", () => {
  it("begins at the newest point, whichever arrow is pressed", () => {
    expect(press(CLOSED, "ArrowRight")).toEqual({ index: 10, series: 0, open: true });
    expect(press(CLOSED, "ArrowLeft")).toEqual({ index: 10, series: 0, open: true });
    expect(moveCursor(CLOSED, { kind: "focus" }, extent)).toEqual({ index: 10, series: 0, open: true });
  });

  it("walks by one, by page and to the ends, and stops there", () => {
    const at: Cursor = { index: 5, series: 0, open: true };
    expect(press(at, "ArrowLeft").index).toBe(4);
    expect(press(at, "ArrowRight", "ArrowRight").index).toBe(7);
    expect(press(at, "PageUp").index).toBe(2);
    expect(press(at, "PageUp", "PageUp").index).toBe(0);
    expect(press(at, "PageDown", "PageDown").index).toBe(10);
    expect(press(at, "Home").index).toBe(0);
    expect(press(at, "End", "ArrowRight").index).toBe(10);
  });

  it("changes the series around, and keeps within the shorter one", () => {
    const other = press({ index: 5, series: 0, open: true }, "ArrowDown");
    expect(other).toEqual({ index: 5, series: 1, open: true });
    expect(press(other, "End").index).toBe(11);
    expect(press(other, "End", "ArrowDown")).toEqual({ index: 10, series: 0, open: true });
    expect(press(other, "ArrowUp").series).toBe(0);
    expect(moveCursor(CLOSED, { kind: "key", key: "ArrowDown" }, { lengths: [4], page: 3 })).toBe(CLOSED);
  });

  it("closes on Escape and when left, and comes back where it was", () => {
    const at: Cursor = { index: 5, series: 1, open: true };
    expect(press(at, "Escape")).toEqual({ index: 5, series: 1, open: false });
    const left = moveCursor(at, { kind: "leave" }, extent);
    expect(left.open).toBe(false);
    expect(moveCursor(left, { kind: "focus" }, extent)).toEqual(at);
  });

  it("stays nowhere without points", () => {
    const none: Extent = { lengths: [0], page: 3 };
    for (const key of ["ArrowLeft", "End", "PageDown"])
      expect(moveCursor(CLOSED, { kind: "key", key }, none)).toBe(CLOSED);
    expect(moveCursor(CLOSED, { kind: "point", index: 3 }, none)).toBe(CLOSED);
  });

  it("takes only its own keys from the page", () => {
    expect(isChartKey("ArrowUp")).toBe(true);
    expect(isChartKey("Tab")).toBe(false);
    expect(isChartKey("Enter")).toBe(false);
  });
});
