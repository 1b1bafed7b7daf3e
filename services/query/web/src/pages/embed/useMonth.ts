import { useMemo } from "react";

import { resolvePeriod, type ResolvedPeriod } from "@/components/daterange/period";
import { rangeText } from "@/components/daterange/PeriodControl";
import { zoneCity } from "@/format";
import { useAccount } from "@/session/context";
import { useToday } from "@/pages/dashboard/useToday";
import { text } from "@/text";

/** "Nov 1 – Nov 30, 2026 · Denver time". */
export const noteOf = (range: ResolvedPeriod): string =>
  text.embed.note(rangeText(range.first, range.last), text.common.zone(zoneCity(range.tz)));

/** This month of the account's calendar. */
export function useMonth(): ResolvedPeriod {
  const { zone } = useAccount();
  const now = useToday(zone);
  return useMemo(() => resolvePeriod({ kind: "month" }, { zone, now }), [zone, now]);
}
