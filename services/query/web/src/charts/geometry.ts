import { scaleLinear } from "d3-scale";
import { area, curveLinear, curveMonotoneX, line } from "d3-shape";
import { downsampleIndices } from "./downsample";
import type { PlottedSeries } from "./series";

export interface Margin {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

export interface Plot {
  readonly width: number;
  readonly height: number;
  readonly margin: Margin;
  /** Blocks along the axis, drawn or not. */
  readonly slots: number;
  readonly x: (index: number) => number;
  readonly y: (value: number) => number;
  readonly yTicks: readonly number[];
}

export interface SeriesPaths {
  /** The line of what is over. */
  readonly line: string;
  /** The area below it; empty where a series has none. */
  readonly area: string;
  /** From the last finished block to the one under way: dashed. */
  readonly partialLine: string;
  readonly partialArea: string;
}

interface XY {
  readonly x: number;
  readonly y: number;
}

// Above this many points the curve's bends are below a pixel, and straight lines are cheaper.
const SMOOTH_POINTS_MAX = 120;
const Y_TICKS = 4;

/** From zero, or below it where refunds outweigh charges, to the highest value. */
function domainOf(plotted: readonly PlottedSeries[]): [number, number] {
  let lowest = 0;
  let highest = 0;
  for (const { values } of plotted) {
    for (const { number } of values) {
      if (number < lowest) lowest = number;
      if (number > highest) highest = number;
    }
  }
  return [lowest, highest === lowest ? lowest + 1 : highest];
}

export function layoutPlot(
  plotted: readonly PlottedSeries[],
  size: { width: number; height: number },
  margin: Margin,
  whole: boolean,
): Plot {
  const slots = Math.max(1, ...plotted.map(({ series }) => series.buckets.length));
  const inner = Math.max(1, size.width - margin.left - margin.right);
  // Points stand in the middle of their block, so that the first and the last have room for marker and label.
  const step = inner / slots;
  const y = scaleLinear()
    .domain(domainOf(plotted))
    .nice(Y_TICKS)
    .range([size.height - margin.bottom, margin.top]);
  return {
    ...size,
    margin,
    slots,
    x: (index) => margin.left + step * (index + 0.5),
    y: (value) => y(value),
    // Whole ticks for counts: half an activity does not exist.
    yTicks: y.ticks(Y_TICKS).filter((tick) => !whole || Number.isInteger(tick)),
  };
}

/** The block below a horizontal position, within the plot. */
export function indexAt(plot: Plot, x: number): number {
  const inner = Math.max(1, plot.width - plot.margin.left - plot.margin.right);
  const index = Math.floor(((x - plot.margin.left) / inner) * plot.slots);
  return Math.min(plot.slots - 1, Math.max(0, index));
}

export function seriesPaths(plotted: PlottedSeries, plot: Plot): SeriesPaths {
  const { values, partialIndex } = plotted;
  const finished = partialIndex === -1 ? values.length : partialIndex;
  const numbers = Float64Array.from({ length: finished }, (_, index) => values[index]?.number ?? 0);
  const columns = plot.width - plot.margin.left - plot.margin.right;
  const at = (index: number): XY => ({ x: plot.x(index), y: plot.y(values[index]?.number ?? 0) });
  const points = downsampleIndices(numbers, columns).map(at);
  const tail = partialIndex === -1 ? [] : [Math.max(0, partialIndex - 1), partialIndex].map(at);
  const curve = points.length <= SMOOTH_POINTS_MAX ? curveMonotoneX : curveLinear;
  const base = plot.y(0);
  const draw = line<XY>(
    (point) => point.x,
    (point) => point.y,
  ).digits(2);
  const fill = area<XY>(
    (point) => point.x,
    base,
    (point) => point.y,
  ).digits(2);
  return {
    line: draw.curve(curve)(points) ?? "",
    area: fill.curve(curve)(points) ?? "",
    partialLine: draw.curve(curveLinear)(tail) ?? "",
    partialArea: fill.curve(curveLinear)(tail) ?? "",
  };
}

/** Blocks that get a label below the axis: evenly spaced, as many as fit, the first always. */
export function xTickIndices(slots: number, width: number, labelWidth: number): number[] {
  const fit = Math.max(1, Math.floor(width / labelWidth));
  const stride = Math.max(1, Math.ceil(slots / fit));
  const indices: number[] = [];
  for (let index = 0; index < slots; index += stride) indices.push(index);
  return indices;
}
