import { formatDate, formatDateTime, formatQuarter, formatTime, utcTitle } from "@/format";

const SHOWN = { both: formatDateTime, date: formatDate, time: formatTime, quarter: formatQuarter };

/** An instant in a zone, with UTC in the title. */
export function Instant({ at, zone, show = "both" }: { at: string; zone: string; show?: keyof typeof SHOWN }) {
  return (
    <time dateTime={at} title={utcTitle(at)}>
      {SHOWN[show](at, zone)}
    </time>
  );
}
