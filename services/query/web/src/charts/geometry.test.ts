import { describe, expect, it } from "vitest";
import { indexAt, layoutPlot, seriesPaths, xTickIndices } from "./geometry";
import { plotSeries } from "./series";
import type { ChartBucket, ChartSeries } from "./types";

const margin = { top: 10, right: 10, bottom: 20, left: 50 };
const size = { width: 860, height: 230 };

function series(counts: readonly number[], partialLast = false): ChartSeries {
  const buckets: ChartBucket[] = counts.map((count, index) => ({
    start: new Date(index * 900_000).toISOString(),
    end: new Date((index + 1) * 900_000).toISOString(),
    partial: partialLast && index === counts.length - 1,
    count,
    amount: "0.00",
  }));
  return { key: "main", label: "Main", role: "main", buckets };
}

describe("layoutPlot", () => {
  it("places zero at the base and the highest value inside the plot", () => {
    const plotted = [plotSeries(series([0, 40, 97]), "count", "bucket")];
    const plot = layoutPlot(plotted, size, margin, true);
    expect(plot.y(0)).toBe(210);
    expect(plot.y(97)).toBeGreaterThanOrEqual(10);
    expect(plot.x(0)).toBeCloseTo(50 + 800 / 6);
    expect(plot.x(2)).toBeCloseTo(850 - 800 / 6);
  });

  it("marks whole counts only, also when there is one activity or none", () => {
    for (const counts of [
      [0, 0],
      [1, 0],
    ]) {
      const plot = layoutPlot([plotSeries(series(counts), "count", "bucket")], size, margin, true);
      expect(plot.yTicks.every((tick) => Number.isInteger(tick))).toBe(true);
      expect(plot.yTicks).toContain(0);
    }
  });

  it("finds under every point that point", () => {
    const plotted = [plotSeries(series(Array.from({ length: 31 }, (_, i) => i)), "count", "bucket")];
    const plot = layoutPlot(plotted, size, margin, true);
    for (let index = 0; index < 31; index += 1) expect(indexAt(plot, plot.x(index))).toBe(index);
    expect(indexAt(plot, -100)).toBe(0);
    expect(indexAt(plot, 10_000)).toBe(30);
  });
});

describe("seriesPaths", () => {
  it("draws what is under way apart, from the last finished block on", () => {
    const plotted = plotSeries(series([1, 2, 3], true), "count", "bucket");
    const paths = seriesPaths(plotted, layoutPlot([plotted], size, margin, true));
    expect(paths.line.match(/[MLC]/g)).toHaveLength(2);
    expect(paths.partialLine.startsWith("M")).toBe(true);
    expect(paths.partialLine.split("L")).toHaveLength(2);
  });

  it("has nothing under way when all is over", () => {
    const plotted = plotSeries(series([1, 2, 3]), "count", "bucket");
    expect(seriesPaths(plotted, layoutPlot([plotted], size, margin, true)).partialLine).toBe("");
  });

  it("draws a year of quarters by no more than four points a pixel, the peak among them", () => {
    const counts = Array.from({ length: 35_040 }, (_, i) => (i * 31) % 17);
    counts[20_000] = 500;
    const plotted = plotSeries(series(counts), "count", "bucket");
    const plot = layoutPlot([plotted], size, margin, true);
    const { line } = seriesPaths(plotted, plot);
    expect(line.split("L").length).toBeLessThanOrEqual(800 * 4);
    expect(line).toContain(`,${String(Number(plot.y(500).toFixed(2)))}`);
  });
});

describe("xTickIndices", () => {
  it("labels as many as fit, evenly", () => {
    expect(xTickIndices(12, 800, 64)).toHaveLength(12);
    expect(xTickIndices(31, 320, 64)).toEqual([0, 7, 14, 21, 28]);
    expect(xTickIndices(1, 10, 64)).toEqual([0]);
  });
});
