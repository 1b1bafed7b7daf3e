import { formatDate, formatDateTime, formatTime, utcTitle } from "@/format";

/** An instant in a zone, with UTC in the title. */
export function Instant({ at, zone, show = "both" }: { at: string; zone: string; show?: "both" | "date" | "time" }) {
  const shown = show === "both" ? formatDateTime(at, zone) : show === "date" ? formatDate(at, zone) : formatTime(at, zone);
  return (
    <time dateTime={at} title={utcTitle(at)}>
      {shown}
    </time>
  );
}
