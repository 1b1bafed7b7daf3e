import { fromMicro, toMicro } from "@/format";
import type { Accumulation, ChartBucket, ChartSeries, Measure } from "./types";

/** One drawn value: the number places it, the text (exact) is what people read. */
export interface PointValue {
  readonly number: number;
  readonly count: number;
  readonly amount: string;
  readonly failures: number;
}

/** A series whose values follow measure and accumulation. `values` ends before the first block that has not begun. */
export interface PlottedSeries {
  readonly series: ChartSeries;
  readonly values: readonly PointValue[];
  /** Index of the last block when it is not whole yet, or -1. */
  readonly partialIndex: number;
}

function plain(bucket: ChartBucket, measure: Measure): PointValue {
  return {
    number: measure === "count" ? bucket.count : Number(bucket.amount),
    count: bucket.count,
    amount: bucket.amount,
    failures: bucket.failures ?? 0,
  };
}

function running(buckets: readonly ChartBucket[], measure: Measure): PointValue[] {
  let count = 0;
  let micros = 0n;
  let failures = 0;
  return buckets.map((bucket) => {
    count += bucket.count;
    micros += toMicro(bucket.amount);
    failures += bucket.failures ?? 0;
    const amount = fromMicro(micros);
    return { number: measure === "count" ? count : Number(amount), count, amount, failures };
  });
}

/** Values of a series, cut where time has not come yet: a line that falls to zero tomorrow would be a lie. */
export function plotSeries(series: ChartSeries, measure: Measure, accumulation: Accumulation): PlottedSeries {
  const firstFuture = series.buckets.findIndex((bucket) => bucket.future === true);
  const begun = firstFuture === -1 ? series.buckets : series.buckets.slice(0, firstFuture);
  const values =
    accumulation === "cumulative" ? running(begun, measure) : begun.map((bucket) => plain(bucket, measure));
  // Only the last one may be under way; a range that starts inside a block has a partial first one, long over.
  return { series, values, partialIndex: begun.at(-1)?.partial === true ? begun.length - 1 : -1 };
}

/** Marks the blocks that begin after `now`; the API fills them with zeros. */
export function markFuture(buckets: readonly ChartBucket[], now: Date): ChartBucket[] {
  const at = now.getTime();
  return buckets.map((bucket) => (Date.parse(bucket.start) > at ? { ...bucket, future: true } : bucket));
}

/** Index of the busiest block, or -1 when nothing happened. */
export function peakIndex(buckets: readonly ChartBucket[], measure: Measure): number {
  let peak = -1;
  let highest = 0;
  buckets.forEach((bucket, index) => {
    const value = measure === "count" ? bucket.count : Number(bucket.amount);
    if (value > highest) {
      highest = value;
      peak = index;
    }
  });
  return peak;
}

/** Colour of a line, of its markers and of its key. */
export function lineColour(series: ChartSeries): string {
  return series.colour ?? (series.role === "compare" ? "var(--chart-compare)" : "var(--chart-line)");
}

/** Dashes of a line and of its key: the period before is dashed, whatever its colour. */
export function lineDash(series: ChartSeries): string | undefined {
  return series.dash ?? (series.role === "compare" ? "4 3" : undefined);
}
