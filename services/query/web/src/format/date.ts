// Times for people. The zone is always given by the caller and always shown; the UTC instant goes into `title`.

const locale = "en-US";
const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale, { timeZone: zone, ...options });
    formats.set(key, found);
  }
  return found;
}

const HOUR: Intl.DateTimeFormatOptions = { hour: "numeric", minute: "2-digit", second: "2-digit" };

/** `Nov 21, 2026`. */
export function formatDate(instant: string, zone: string): string {
  return format(zone, { year: "numeric", month: "short", day: "numeric" }).format(new Date(instant));
}

const MINUTE: Intl.DateTimeFormatOptions = { hour: "numeric", minute: "2-digit" };

/** `3:15:03 PM`; in an hour that the clocks show twice with which of the two it is, `1:15:03 AM EDT`. */
export function formatTime(instant: string, zone: string, seconds = true): string {
  return format(zone, { ...(seconds ? HOUR : MINUTE), ...whichOfTwo(instant, zone) }).format(new Date(instant));
}

/** `3:15 PM EST`: the zone's name always beside it. */
export function formatTimeNamed(instant: string, zone: string): string {
  return format(zone, { ...MINUTE, timeZoneName: "short" }).format(new Date(instant));
}

const QUARTER_MS = 15 * 60_000;

/** `Nov 21, 2026, 3:15 \u2013 3:30 PM`: the quarter of an hour that begins then, where no more is known of an instant. */
export function formatQuarter(start: string, zone: string): string {
  const options = { year: "numeric", month: "short", day: "numeric", ...MINUTE, ...whichOfTwo(start, zone) } as const;
  const at = Date.parse(start);
  return format(zone, options).formatRange(at, at + QUARTER_MS);
}

/** `Nov 21, 2026, 3:15:03 PM`; like `formatTime` in an hour that comes twice. */
export function formatDateTime(instant: string, zone: string): string {
  const options = { year: "numeric", month: "short", day: "numeric", ...HOUR, ...whichOfTwo(instant, zone) } as const;
  return format(zone, options).format(new Date(instant));
}

const AROUND_MS = 3 * 60 * 60_000;

function whichOfTwo(instant: string, zone: string): Intl.DateTimeFormatOptions {
  return comesTwice(Date.parse(instant), zone) ? { timeZoneName: "short" } : {};
}

/** Whether the zone's clocks show this time a second time, before or after: they are put back. */
function comesTwice(at: number, zone: string): boolean {
  const before = offsetMs(at - AROUND_MS, zone);
  const back = before - offsetMs(at + AROUND_MS, zone);
  if (back <= 0) return false;
  const now = offsetMs(at, zone);
  return offsetMs(now === before ? at + back : at - back, zone) !== now;
}

/** What the zone's clocks are ahead of UTC. */
function offsetMs(at: number, zone: string): number {
  const found = /GMT([+-])(\d\d):(\d\d)/.exec(format(zone, { timeZoneName: "longOffset" }).format(at));
  if (found === null) return 0;
  const [, sign, hours, minutes] = found;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

/** `Sat, Nov 21`. */
export function formatDay(instant: string, zone: string): string {
  return format(zone, { weekday: "short", month: "short", day: "numeric" }).format(new Date(instant));
}

/** `November 2026`. */
export function formatMonth(instant: string, zone: string): string {
  return format(zone, { year: "numeric", month: "long" }).format(new Date(instant));
}

/** `EST`, or `GMT+5:45`: the zone's name at the instant. */
export function zoneName(instant: string, zone: string): string {
  const parts = format(zone, { timeZoneName: "short" }).formatToParts(new Date(instant));
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/** `New York`, of `America/New_York`; `GMT-5`, of `Etc/GMT+5`, whose sign is turned round. */
export function zoneCity(zone: string): string {
  if (zone.startsWith("Etc/")) return zoneName("2026-01-01T00:00:00Z", zone);
  return (zone.split("/").pop() ?? zone).replaceAll("_", " ");
}

/** `2026-11-21 20:15:03.120 UTC`, for titles. */
export function utcTitle(instant: string): string {
  return new Date(instant).toISOString().replace("T", " ").replace("Z", " UTC");
}

/** `2026-11-21`: the calendar date of an instant in a zone. */
export function isoDate(instant: string | Date, zone: string): string {
  const parts = format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(new Date(instant));
  const value = (type: string): string => parts.find((part) => part.type === type)?.value ?? "";
  return `${value("year")}-${value("month")}-${value("day")}`;
}

/** A calendar date (`2026-11-21`) for people, whatever the zone of the reader: `Nov 21, 2026`. */
export function formatCalendarDate(date: string, year = true): string {
  const options: Intl.DateTimeFormatOptions = year
    ? { year: "numeric", month: "short", day: "numeric" }
    : { month: "short", day: "numeric" };
  return format("UTC", options).format(new Date(`${date}T00:00:00Z`));
}

/** The calendar date `days` later. */
export function addDays(date: string, days: number): string {
  const at = new Date(`${date}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

const LATE_MS = 60 * 60 * 1000;

/** Whether an entry was posted long after the work was done: an offline booth came back. */
export function isLate(occurredAt: string, postedAt: string): boolean {
  return Date.parse(postedAt) - Date.parse(occurredAt) >= LATE_MS;
}

/** `2 h 5 min`, `3 days`: a length of time for people. */
export function formatDuration(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}
