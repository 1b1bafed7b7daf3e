import { STANDARD_AI } from "@/api/standard-ai";
import type { EngineUsage, EventListed, Service } from "@/api/types";
import { shareInTenths, type DonutItem } from "@/charts/donut-data";
import { activityEnd, isOpenEnded } from "@/components/daterange/period";
import { formatDate, formatTime, fromMicro, isoDate, toMicro } from "@/format";
import { text } from "@/text";

type Dated = Pick<EventListed, "starts_at" | "ends_at" | "first_activity_at" | "last_activity_at" | "time_zone">;

export function eventName(event: Pick<EventListed, "name" | "event_id">): string {
  return event.name ?? event.event_id;
}

/**
 * The event's dates in its own zone, begin and end; those of its activity where none are set, "now" while that goes on.
 * Null: there is none.
 */
export function eventSpan(event: Dated, now: Date): { from: string; to: string | null } | null {
  const start = event.starts_at ?? event.first_activity_at;
  const end = event.ends_at ?? instantOf(activityEnd(event));
  const zone = event.time_zone;
  if (!start) return null;
  const from = `${formatDate(start, zone)}, ${formatTime(start, zone, false)}`;
  if (isOpenEnded(event, now)) return { from, to: text.events.dates.now };
  if (!end) return { from, to: null };
  const sameDay = isoDate(start, zone) === isoDate(end, zone);
  const to = sameDay ? formatTime(end, zone, false) : `${formatDate(end, zone)}, ${formatTime(end, zone, false)}`;
  return { from, to };
}

const instantOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** The event's dates in a line. */
export function eventDates(event: Dated, now: Date): string {
  const span = eventSpan(event, now);
  if (span === null) return text.events.dates.unknown;
  return span.to === null ? text.events.dates.from(span.from) : text.events.dates.between(span.from, span.to);
}

/** The doors are open: by the dates of the event, never by guess. */
export function isUnderWay(event: Dated, now: Date): boolean {
  if (!event.starts_at || !event.ends_at) return false;
  return Date.parse(event.starts_at) <= now.getTime() && now.getTime() < Date.parse(event.ends_at);
}

/** Slices by engine: what one engine did for several services is one slice. */
export function byEngine(rows: readonly EngineUsage[], services: readonly Service[]): DonutItem[] {
  const names = new Map(services.map((service) => [service.engine, service.engine_name]));
  return rows.map((row) => ({
    key: row.engine,
    label: names.get(row.engine) ?? row.service_name,
    amount: row.amount.amount,
    count: row.count,
  }));
}

export interface ServiceLine {
  readonly key: string;
  readonly name: string;
  /** Engines that did it, by name, the costliest first. */
  readonly engines: readonly string[];
  readonly count: number;
  readonly failed: number;
  readonly amount: string;
  /** Tenths of a percent of the event's credits. */
  readonly share: number;
}

/** The order and the names under which people know the services. */
const GROUPS: readonly (readonly [string, string | null, readonly string[]])[] = [
  ["ai_image_to_video", null, ["ai_image_to_video"]],
  ["ai_modify", null, ["ai_modify"]],
  ["ai_draw_me", null, ["ai_draw_me"]],
  ["standard_ai", text.common.standardAi, STANDARD_AI],
  ["ai_combine", null, ["ai_combine"]],
  ["sms", null, ["sms"]],
  ["editorial_ai", null, ["editorial_ai"]],
];

const FALLBACK: Readonly<Record<string, string>> = {
  ai_image_to_video: "AI Image To Video",
  ai_modify: "AI Modify",
  ai_draw_me: "AI Draw Me",
  ai_combine: "AI Combine",
  sms: "SMS",
  editorial_ai: "Editorial AI",
};

/** Usage by service: the seven that every event page lists, used or not, then whatever else there is. */
export function byService(rows: readonly EngineUsage[], services: readonly Service[]): ServiceLine[] {
  const total = fromMicro(rows.reduce((sum, row) => sum + toMicro(row.amount.amount), 0n));
  const serviceNames = new Map(services.map((service) => [service.service, service.service_name]));
  const engineNames = new Map(services.map((service) => [service.engine, service.engine_name]));
  const grouped = new Set(GROUPS.flatMap(([, , codes]) => codes));
  const unknown = [...new Set(rows.map((row) => row.service))].filter((service) => !grouped.has(service));
  const groups = [...GROUPS, ...unknown.map((code) => [code, null, [code]] as const)];
  return groups.map(([key, name, codes]) => {
    const mine = rows.filter((row) => codes.includes(row.service));
    const amount = fromMicro(mine.reduce((sum, row) => sum + toMicro(row.amount.amount), 0n));
    return {
      key,
      name: name ?? serviceNames.get(key) ?? FALLBACK[key] ?? key,
      engines: [...new Set(mine.map((row) => engineNames.get(row.engine) ?? row.engine))],
      count: mine.reduce((sum, row) => sum + row.count, 0),
      failed: mine.reduce((sum, row) => sum + row.failed, 0),
      amount,
      share: shareInTenths(amount, total),
    };
  });
}
