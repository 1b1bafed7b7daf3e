import {
  CalendarDate,
  fromDate,
  parseDate,
  startOfMonth,
  startOfYear,
  toCalendarDate,
  toZoned,
} from "@internationalized/date";

import { text } from "@/text";

/** What the segmented control offers. */
export type PeriodKind = "year" | "month" | "dates" | "event";

/** What is chosen. Days are local ones of the zone, `YYYY-MM-DD`, both inclusive: as people say it. */
export type Period =
  | { readonly kind: "year" | "month" | "event" }
  | { readonly kind: "dates"; readonly first: string; readonly last: string };

export interface EventSpan {
  readonly starts_at?: string | null | undefined;
  readonly ends_at?: string | null | undefined;
  readonly first_activity_at?: string | null | undefined;
  readonly last_activity_at?: string | null | undefined;
}

export interface PeriodContext {
  /** IANA name. */
  readonly zone: string;
  readonly now: Date;
  readonly event?: EventSpan;
}

/** A half-open range as the API takes it, with the days it covers for people. */
export interface ResolvedPeriod {
  /** RFC 3339 instant, or a local date of `tz`: the service knows where such a day begins. */
  readonly from: string;
  /** First instant (or day) after the range. */
  readonly to: string;
  readonly tz: string;
  readonly bucket: "hour" | "day" | "week" | "month";
  /** First and last local day, both inclusive. */
  readonly first: string;
  readonly last: string;
}

const DAY_MS = 86_400_000;
/** Activity is known by the start of its quarter of an hour. */
const QUARTER_MS = 900_000;
/** How long nothing may be heard of an event without an end before it is taken to be over. */
const SILENCE_MS = 2 * 3_600_000;
export const RANGE_YEARS_MAX = 5;
/** An event of a few days is looked at by the hour: by the day it would be a line of three points. */
const EVENT_HOURS_DAYS_MAX = 5;

/** Today by the zone's calendar. */
export function todayIn(zone: string, now: Date): CalendarDate {
  return toCalendarDate(fromDate(now, zone));
}

/** The first instant of a local day: not always midnight, some zones skip it when their clocks change. */
export function dayStart(day: string, zone: string): Date {
  return toZoned(parseDate(day), zone).toDate();
}

/** Instants between which a range of local days lies; 23 or 25 hours a day when the clocks change. */
export function dayRange(first: string, last: string, zone: string): { from: Date; to: Date } {
  return { from: dayStart(first, zone), to: dayStart(parseDate(last).add({ days: 1 }).toString(), zone) };
}

/** Block size of a range that people chose: up to 2 days hours, up to 92 days days, up to 2 years weeks, else months. */
export function bucketFor(days: number): ResolvedPeriod["bucket"] {
  if (days <= 2) return "hour";
  if (days <= 92) return "day";
  return days <= 731 ? "week" : "month";
}

function days(first: CalendarDate, last: CalendarDate): number {
  return last.compare(first) + 1;
}

function ofDays(
  first: CalendarDate,
  last: CalendarDate,
  zone: string,
  bucket?: ResolvedPeriod["bucket"],
): ResolvedPeriod {
  return {
    from: first.toString(),
    to: last.add({ days: 1 }).toString(),
    tz: zone,
    bucket: bucket ?? bucketFor(days(first, last)),
    first: first.toString(),
    last: last.toString(),
  };
}

function earliest(...times: (string | null | undefined)[]): number | null {
  const known = times.filter((time) => typeof time === "string").map((time) => Date.parse(time));
  return known.length === 0 ? null : Math.min(...known);
}

function latest(...times: (string | null | undefined)[]): number | null {
  const known = times.filter((time) => typeof time === "string").map((time) => Date.parse(time));
  return known.length === 0 ? null : Math.max(...known);
}

/** When the newest activity of an event was over at the latest, in ms; null: there is none. */
export function activityEnd({ last_activity_at: last }: EventSpan): number | null {
  return last ? Date.parse(last) + QUARTER_MS : null;
}

/** An event that nobody gave an end and that booths still report for: its time reaches until now. */
export function isOpenEnded(event: EventSpan, now: Date): boolean {
  const end = activityEnd(event);
  return !event.ends_at && end !== null && now.getTime() - end < SILENCE_MS;
}

/**
 * The event's own time: from its start or first activity to its end or last activity, whichever reaches further, in
 * whole local hours; one without an end that still goes on lasts until now, so that the newest work is in it before the
 * event's facts tell of it. So what was done before the doors opened is in it, and the chart adds up to the event's total.
 * Of an event that nothing is known of, the last thirty days.
 */
function ofEvent(event: EventSpan, zone: string, now: Date): ResolvedPeriod {
  const begin = earliest(event.starts_at, event.first_activity_at);
  if (begin === null) return ofDays(todayIn(zone, now).subtract({ days: 29 }), todayIn(zone, now), zone);
  const known = latest(event.ends_at, event.last_activity_at);
  const isOpen = known === null || isOpenEnded(event, now);
  const end = Math.max(begin, known ?? begin, isOpen ? now.getTime() : begin);
  const first = fromDate(new Date(begin), zone).set({ minute: 0, second: 0, millisecond: 0 });
  const after = fromDate(new Date(end), zone).set({ minute: 0, second: 0, millisecond: 0 }).add({ hours: 1 });
  const span = (after.toDate().getTime() - first.toDate().getTime()) / DAY_MS;
  return {
    from: first.toAbsoluteString(),
    to: after.toAbsoluteString(),
    tz: zone,
    bucket: span <= EVENT_HOURS_DAYS_MAX ? "hour" : bucketFor(span),
    first: toCalendarDate(first).toString(),
    last: toCalendarDate(fromDate(new Date(end), zone)).toString(),
  };
}

export function resolvePeriod(period: Period, context: PeriodContext): ResolvedPeriod {
  const { zone, now } = context;
  const today = todayIn(zone, now);
  switch (period.kind) {
    case "year": {
      const first = startOfYear(today);
      return ofDays(first, first.add({ years: 1 }).subtract({ days: 1 }), zone, "month");
    }
    case "month": {
      const first = startOfMonth(today);
      return ofDays(first, first.add({ months: 1 }).subtract({ days: 1 }), zone, "day");
    }
    case "dates":
      return ofDays(parseDate(period.first), parseDate(period.last), zone);
    case "event":
      return context.event ? ofEvent(context.event, zone, now) : ofDays(startOfMonth(today), today, zone);
  }
}

/** Default of the date picker: the last seven days, today included. */
export function lastDays(count: number, zone: string, now: Date): Period {
  const today = todayIn(zone, now);
  return { kind: "dates", first: today.subtract({ days: count - 1 }).toString(), last: today.toString() };
}

export type RangeError = "first_missing" | "last_missing" | "reversed" | "too_long";

/** Why two days make no range, or null. */
export function rangeError(first: string, last: string): RangeError | null {
  if (!isDay(first)) return "first_missing";
  if (!isDay(last)) return "last_missing";
  const [from, to] = [parseDate(first), parseDate(last)];
  if (to.compare(from) < 0) return "reversed";
  return to.compare(from.add({ years: RANGE_YEARS_MAX })) > 0 ? "too_long" : null;
}

export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  try {
    return parseDate(text).toString() === text;
  } catch {
    return false;
  }
}

export interface Preset {
  readonly label: string;
  readonly first: string;
  readonly last: string;
}

/** Ranges people ask for most. */
export function presets(zone: string, now: Date): Preset[] {
  const today = todayIn(zone, now);
  const monthEnd = startOfMonth(today).subtract({ days: 1 });
  const yearEnd = startOfYear(today).subtract({ days: 1 });
  const back = (days: number): Preset => ({
    label: text.daterange.lastDays(days),
    first: today.subtract({ days: days - 1 }).toString(),
    last: today.toString(),
  });
  return [
    back(7),
    back(30),
    back(90),
    { label: text.daterange.lastMonth, first: startOfMonth(monthEnd).toString(), last: monthEnd.toString() },
    { label: text.daterange.lastYear, first: startOfYear(yearEnd).toString(), last: yearEnd.toString() },
  ];
}
