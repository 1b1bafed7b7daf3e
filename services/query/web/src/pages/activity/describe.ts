import type { Service } from "@/api/types";
import { formatCalendarDate } from "@/format";
import { statusText, typeText } from "@/ledger/describe";
import { text } from "@/text";

import type { Filters } from "./filters";

const { activity } = text;

export interface Chip {
  /** Which filters it takes away. */
  clears: Partial<Filters>;
  label: string;
}

export function serviceName(filters: Filters, services: readonly Service[]): string {
  const found = services.find((item) => item.service === filters.service && item.engine === filters.engine);
  if (found !== undefined) return found.name;
  const service = services.find((item) => item.service === filters.service);
  return service?.service_name ?? filters.service ?? "";
}

export function typeName(type: string): string {
  if (type === "consumed") return activity.consumed;
  if (type === "added") return activity.added;
  return typeText(type);
}

export function rangeName(from: string | null, to: string | null): string {
  if (from !== null && from === to) return formatCalendarDate(from);
  const first = from === null ? "\u2026" : formatCalendarDate(from, from.slice(0, 4) !== (to ?? "").slice(0, 4));
  return `${first} \u2013 ${to === null ? "\u2026" : formatCalendarDate(to)}`;
}

/** "No activity from May 3 to May 9, 2026 with status Failed". */
export function emptyTitle(filters: Filters, services: readonly Service[]): string {
  const { parts } = activity;
  let what = "";
  if (filters.service !== null) what += parts.service(serviceName(filters, services));
  if (filters.type !== null) what += parts.type(typeName(filters.type));
  if (filters.event !== null) what += parts.event(filters.event);
  if (filters.booth !== null) what += parts.booth(filters.booth);
  if (filters.from !== null && filters.from === filters.to) what += parts.day(formatCalendarDate(filters.from));
  else if (filters.from !== null && filters.to !== null) {
    what += parts.range(formatCalendarDate(filters.from, false), formatCalendarDate(filters.to));
  }
  if (filters.status !== null) what += parts.status(statusText(filters.status));
  if (filters.q.trim() !== "") what += parts.q(filters.q.trim());
  return activity.emptyTitle(what);
}
