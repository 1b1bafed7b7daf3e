import { describe, expect, it } from "vitest";
import { downsampleIndices } from "./downsample";

const YEAR_OF_QUARTERS = 365 * 96;

describe("downsampleIndices", () => {
  it("keeps a short series whole", () => {
    expect(downsampleIndices([3, 1, 2], 800)).toEqual([0, 1, 2]);
    expect(downsampleIndices([], 800)).toEqual([]);
  });

  it("keeps every peak and dip of each pixel column", () => {
    const values = Float64Array.from({ length: YEAR_OF_QUARTERS }, (_, i) => 50 + Math.sin(i / 90) * 20);
    values[12_345] = 900;
    values[30_001] = -5;
    const kept = downsampleIndices(values, 760);
    expect(kept).toContain(12_345);
    expect(kept).toContain(30_001);
    expect(kept.length).toBeLessThanOrEqual(760 * 4);
    for (let column = 0; column < 760; column += 1) {
      const first = Math.floor((column * values.length) / 760);
      const end = Math.floor(((column + 1) * values.length) / 760);
      const inColumn = kept.filter((index) => index >= first && index < end).map((index) => values[index] ?? 0);
      const all = values.slice(first, end);
      expect(Math.max(...inColumn)).toBe(Math.max(...all));
      expect(Math.min(...inColumn)).toBe(Math.min(...all));
    }
  });

  it("returns ascending indices without repeats, the ends included", () => {
    const values = Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 1009);
    const kept = downsampleIndices(values, 300);
    expect(kept[0]).toBe(0);
    expect(kept.at(-1)).toBe(9_999);
    expect(kept.every((index, at) => at === 0 || index > (kept[at - 1] ?? 0))).toBe(true);
  });
});
