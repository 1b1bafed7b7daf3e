import { formatMoney, fromMicro, toMicro } from "@/format";
import { text } from "@/text";
import { blockLabel } from "./labels";
import { peakIndex } from "./series";
import type { BucketSize, ChartBucket, Measure } from "./types";

export interface TakeawayInput {
  readonly buckets: readonly ChartBucket[];
  readonly measure: Measure;
  readonly size: BucketSize;
  readonly zone: string;
  readonly currency: string;
}

const ON_DAY: ReadonlySet<BucketSize> = new Set<BucketSize>(["15m", "hour", "day"]);

/** What a chart says, in a sentence: how much in all, and when most. */
export function takeaway({ buckets, measure, size, zone, currency }: TakeawayInput): string {
  const total = (count: number, amount: string): string =>
    measure === "count" ? text.charts.activities(count) : formatMoney({ amount, currency }, { places: "exact" });
  const peak = buckets[peakIndex(buckets, measure)];
  const count = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  // Exact sums of a year of quarters cost more than drawing it: only where they are read.
  const amount =
    measure === "count" ? "0.00" : fromMicro(buckets.reduce((sum, bucket) => sum + toMicro(bucket.amount), 0n));
  if (!peak) return count === 0 ? text.charts.takeaway.none : text.charts.takeaway.single(total(count, amount));
  return text.charts.takeaway.total(
    total(count, amount),
    blockLabel(peak, size, zone),
    total(peak.count, peak.amount),
    ON_DAY.has(size),
  );
}
