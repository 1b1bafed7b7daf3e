import type { BucketSize, ChartBucket } from "./types";

const LOCALE = "en-US";
const formats = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(LOCALE, { timeZone: zone, ...options });
    formats.set(key, found);
  }
  return found;
}

const AXIS: Readonly<Record<BucketSize, Intl.DateTimeFormatOptions>> = {
  "15m": { month: "short", day: "numeric" },
  hour: { hour: "numeric" },
  day: { month: "short", day: "numeric" },
  week: { month: "short", day: "numeric" },
  month: { month: "short" },
  year: { year: "numeric" },
};

/** Below the axis, as short as can be understood: `Mar`, `May 9`, `2 PM`; midnight by the day that it begins. */
export function axisLabel(bucket: ChartBucket, size: BucketSize, zone: string): string {
  const unit = size === "hour" && hourOf(bucket, zone) === 0 ? "day" : size;
  return formatter(zone, AXIS[unit]).format(new Date(bucket.start));
}

function hourOf(bucket: ChartBucket, zone: string): number {
  return Number(formatter(zone, { hour: "numeric", hourCycle: "h23" }).format(new Date(bucket.start)));
}

const HOUR_STEPS = [1, 2, 3, 4, 6, 12, 24];

/** Blocks of an hour that get a label: round hours of the zone's clock, as many as fit, so that each day is named. */
export function hourTickIndices(buckets: readonly ChartBucket[], zone: string, width: number, labelWidth: number): number[] {
  const fit = Math.max(1, Math.floor(width / labelWidth));
  const step = HOUR_STEPS.find((hours) => buckets.length / hours <= fit) ?? 24;
  const round = buckets.flatMap((bucket, index) => (hourOf(bucket, zone) % step === 0 ? [index] : []));
  // Of more days than fit every second, every third.
  return round.filter((_, index) => index % Math.ceil(round.length / fit) === 0);
}

const DAY: Intl.DateTimeFormatOptions = { weekday: "short", month: "short", day: "numeric", year: "numeric" };
// The zone's short name tells the two hours apart that clocks repeat in autumn: 1 AM EDT, 1 AM EST.
const CLOCK: Intl.DateTimeFormatOptions = {
  ...DAY,
  hour: "numeric",
  minute: "2-digit",
  timeZoneName: "short",
};

/** The whole block in words: `March 2026`, `Sat, May 9, 2026`, `May 4 – 10, 2026`, `Sat, May 9, 2026, 2:00 – 3:00 PM EDT`. */
export function blockLabel(bucket: ChartBucket, size: BucketSize, zone: string): string {
  const start = new Date(bucket.start);
  // The last instant that belongs to the block: its end belongs to the next one.
  const last = new Date(Date.parse(bucket.end) - 1);
  switch (size) {
    case "year":
      return formatter(zone, { year: "numeric" }).format(start);
    case "month":
      return formatter(zone, { month: "long", year: "numeric" }).format(start);
    case "week":
      return formatter(zone, { month: "short", day: "numeric", year: "numeric" }).formatRange(start, last);
    case "day":
      return formatter(zone, DAY).format(start);
    case "hour":
    case "15m":
      return formatter(zone, CLOCK).formatRange(start, new Date(bucket.end));
  }
}

const compactCount = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });
const compactMoney = new Map<string, Intl.NumberFormat>();

/** A mark of the value axis: a rounded help for the eye, never an amount of anything. */
export function tickLabel(value: number, currency: string | null): string {
  if (currency === null) return compactCount.format(value);
  let format = compactMoney.get(currency);
  if (!format) {
    format = new Intl.NumberFormat(LOCALE, {
      style: "currency",
      currency,
      notation: "compact",
      minimumFractionDigits: 0,
      maximumFractionDigits: 2,
    });
    compactMoney.set(currency, format);
  }
  return format.format(value).replace("-", "\u2212");
}
