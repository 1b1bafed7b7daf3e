/** What the timeline can measure. */
export type Measure = "count" | "amount";

/** Every block by itself, or the running total up to and including it. */
export type Accumulation = "bucket" | "cumulative";

/**
 * One block of time. `start` and `end` carry the zone's offset, as the API writes them; `amount` is an exact decimal
 * string. Numbers derived from it serve geometry only, never text.
 */
export interface ChartBucket {
  readonly start: string;
  readonly end: string;
  /** The block is under way: its figures are "so far". */
  readonly partial: boolean;
  /** The block has not begun. It has no point. */
  readonly future?: boolean;
  readonly count: number;
  readonly amount: string;
  readonly failures?: number;
}

export interface ChartSeries {
  readonly key: string;
  readonly label: string;
  readonly buckets: readonly ChartBucket[];
  /** The period before is drawn faintly and has no area. */
  readonly role: "main" | "compare" | "group";
  /** CSS colour of line and marker; by default the accent. */
  readonly colour?: string;
  /** SVG dash array, so that lines differ by more than colour. */
  readonly dash?: string;
}

/** Sizes of a block, as the API names them. */
export type BucketSize = "15m" | "hour" | "day" | "week" | "month" | "year";
