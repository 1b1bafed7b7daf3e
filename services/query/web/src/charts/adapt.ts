import type { TimelineBucket } from "@/api/types";
import { markFuture } from "./series";
import type { ChartBucket } from "./types";

/** The API's blocks as the charts take them. */
export function chartBuckets(buckets: readonly TimelineBucket[], now: Date): ChartBucket[] {
  return markFuture(
    buckets.map(({ start, end, partial, count, failures, amount }) => ({
      start,
      end,
      partial,
      count,
      failures,
      amount: amount.amount,
    })),
    now,
  );
}
