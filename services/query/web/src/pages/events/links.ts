import type { EngineUsage } from "@/api/types";
import { NO_FILTERS, writeFilters, type Filters } from "@/pages/activity/filters";

/** The Activity page narrowed to an event, and to whatever else is said. */
export function activityOf(eventId: string, narrowed: Partial<Filters> = {}): string {
  const search = writeFilters(new URLSearchParams(), { ...NO_FILTERS, ...narrowed, event: eventId });
  return `/activity?${search.toString()}`;
}

/** What an engine did at the event. An engine that works for several services has no one filter: then all of them. */
export function activityOfEngine(eventId: string, engine: string, rows: readonly EngineUsage[]): string {
  const services = new Set(rows.filter((row) => row.engine === engine).map((row) => row.service));
  const [service] = services;
  return services.size === 1 && service !== undefined
    ? activityOf(eventId, { service, engine })
    : activityOf(eventId, { q: engine.replaceAll("_", " ") });
}
