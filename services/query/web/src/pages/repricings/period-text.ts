import { formatCalendarDate, formatDateTime } from "@/format";
import { text } from "@/text";

import { daysOf } from "./draft";

const ZONE = "UTC";

/** Days where the period is whole days, else instants. */
export function periodText(from: string, to: string): string {
  const days = daysOf(from, to);
  if (days === null) return text.repricings.period(formatDateTime(from, ZONE), formatDateTime(to, ZONE));
  if (days.first === days.last) return formatCalendarDate(days.first);
  const isSameYear = days.first.slice(0, 4) === days.last.slice(0, 4);
  return text.repricings.period(formatCalendarDate(days.first, !isSameYear), formatCalendarDate(days.last));
}
