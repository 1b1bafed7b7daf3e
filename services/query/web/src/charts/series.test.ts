import { describe, expect, it } from "vitest";
import { markFuture, peakIndex, plotSeries } from "./series";
import type { ChartBucket, ChartSeries } from "./types";

const month = (number: number, count: number, amount: string, partial = false): ChartBucket => ({
  start: `2026-${String(number).padStart(2, "0")}-01T00:00:00-05:00`,
  end: `2026-${String(number + 1).padStart(2, "0")}-01T00:00:00-05:00`,
  partial,
  count,
  amount,
});

const year: ChartBucket[] = [
  month(8, 3, "0.30"),
  month(9, 0, "0.00"),
  month(10, 7, "0.10"),
  month(11, 2, "0.20", true),
  month(12, 0, "0.00", true),
];
const series: ChartSeries = {
  key: "now",
  label: "This year",
  role: "main",
  buckets: markFuture(year, new Date("2026-11-25T12:00:00Z")),
};

describe("plotSeries", () => {
  it("ends at the block under way", () => {
    const plotted = plotSeries(series, "count", "bucket");
    expect(plotted.values.map((value) => value.number)).toEqual([3, 0, 7, 2]);
    expect(plotted.partialIndex).toBe(3);
  });

  it("adds up exactly", () => {
    const plotted = plotSeries(series, "amount", "cumulative");
    expect(plotted.values.map((value) => value.amount)).toEqual(["0.30", "0.30", "0.40", "0.60"]);
    expect(plotted.values.map((value) => value.count)).toEqual([3, 3, 10, 12]);
  });

  it("takes a partial first block for what it is: over", () => {
    const cut = [month(8, 3, "0.30", true), month(9, 1, "0.10")];
    expect(plotSeries({ ...series, buckets: cut }, "count", "bucket").partialIndex).toBe(-1);
  });
});

describe("peakIndex", () => {
  it("finds the busiest block, and none where nothing happened", () => {
    expect(peakIndex(year, "count")).toBe(2);
    expect(peakIndex(year, "amount")).toBe(0);
    expect(peakIndex([month(1, 0, "0.00")], "count")).toBe(-1);
  });
});
