import { isDay, rangeError, type Period, type PeriodKind } from "./period";

const KINDS: readonly PeriodKind[] = ["year", "month", "dates", "event"];

function isKind(text: string | null): text is PeriodKind {
  return KINDS.some((kind) => kind === text);
}

/** The period that an address names, else the fallback: a link someone mangled must still open. */
export function readPeriod(search: URLSearchParams, fallback: Period): Period {
  const kind = search.get("period");
  if (!isKind(kind)) return fallback;
  if (kind !== "dates") return { kind };
  const first = search.get("from") ?? "";
  const last = search.get("to") ?? "";
  if (!isDay(first) || !isDay(last) || rangeError(first, last) !== null) return fallback;
  return { kind, first, last };
}

/** The address with this period in it; all its other parameters stay. */
export function writePeriod(search: URLSearchParams, period: Period): URLSearchParams {
  const next = new URLSearchParams(search);
  next.set("period", period.kind);
  if (period.kind === "dates") {
    next.set("from", period.first);
    next.set("to", period.last);
  } else {
    next.delete("from");
    next.delete("to");
  }
  return next;
}
