import { fromAbsolute, parseDateTime, toCalendarDateTime } from "@internationalized/date";

import type { EventBody } from "@/api/contract";
import type { EventListed } from "@/api/types";
import { text } from "@/text";

const { edit: words } = text.events;

/** An event as a form has it: times are what a clock at the event shows. */
export interface EventDraft {
  eventId: string;
  name: string;
  starts: string;
  ends: string;
  zone: string;
  /** Empty: none. */
  budget: string;
  onExceeded: "warn" | "refuse_holds";
}

export type EventErrors = Partial<Record<keyof EventDraft, string>>;

const AMOUNT = /^\d{1,9}(\.\d{1,2})?$/;
const EVENT_ID = /^evt_[A-Za-z0-9_-]{1,60}$/;
const HOUR_MS = 3_600_000;
/** A booth is hired for about as long. */
const HOURS = 4;

/** `2026-11-21T20:15`, as the clocks of the zone have it. */
function clockOf(instant: string, zone: string): string {
  return toCalendarDateTime(fromAbsolute(Date.parse(instant), zone)).toString().slice(0, 16);
}

/** What stands in the form at first: the event, where no dates are set those of its activity, else the next full hour. */
export function draftOf(event: EventListed | null, zone: string, now: Date): EventDraft {
  const at = event?.time_zone ?? zone;
  const next = Math.ceil(now.getTime() / HOUR_MS) * HOUR_MS;
  const starts = event?.starts_at ?? event?.first_activity_at ?? new Date(next).toISOString();
  const ends = event?.ends_at ?? new Date(Date.parse(starts) + HOURS * HOUR_MS).toISOString();
  return {
    eventId: event?.event_id ?? "evt_",
    name: event?.name ?? "",
    starts: clockOf(starts, at),
    ends: clockOf(ends, at),
    zone: at,
    budget: event?.budget?.amount.amount ?? "",
    onExceeded: event?.budget?.policy ?? "warn",
  };
}

function instantOf(clock: string, zone: string): string | null {
  try {
    return parseDateTime(clock).toDate(zone).toISOString();
  } catch {
    return null;
  }
}

/** What is wrong with a draft, by field; empty where it can be sent. */
export function errorsOf(draft: EventDraft): EventErrors {
  const errors: EventErrors = {};
  const [starts, ends] = [instantOf(draft.starts, draft.zone), instantOf(draft.ends, draft.zone)];
  if (!EVENT_ID.test(draft.eventId.trim())) errors.eventId = words.idInvalid;
  if (draft.name.trim() === "") errors.name = words.nameMissing;
  if (!isZone(draft.zone)) errors.zone = words.zoneInvalid;
  else if (starts === null) errors.starts = words.timeInvalid;
  else if (ends === null) errors.ends = words.timeInvalid;
  else if (starts >= ends) errors.ends = words.endsBefore;
  if (draft.budget.trim() !== "" && !AMOUNT.test(draft.budget.trim())) errors.budget = words.budgetInvalid;
  return errors;
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** What is sent of a draft without errors. */
export function bodyOf(draft: EventDraft): EventBody {
  const budget = draft.budget.trim();
  return {
    name: draft.name.trim(),
    starts_at: instantOf(draft.starts, draft.zone) ?? "",
    ends_at: instantOf(draft.ends, draft.zone) ?? "",
    time_zone: draft.zone,
    ...(budget === "" ? {} : { budget: { amount: budget, on_exceeded: draft.onExceeded } }),
  };
}
