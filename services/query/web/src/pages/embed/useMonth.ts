import { useMemo } from "react";

import { resolvePeriod, type ResolvedPeriod } from "@/components/daterange/period";
import { useAccount } from "@/session/context";
import { useToday } from "@/pages/dashboard/useToday";

/** This month of the account's calendar. */
export function useMonth(): ResolvedPeriod {
  const { zone } = useAccount();
  const now = useToday(zone);
  return useMemo(() => resolvePeriod({ kind: "month" }, { zone, now }), [zone, now]);
}
