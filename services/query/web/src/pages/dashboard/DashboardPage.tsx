import { useMemo } from "react";
import { useSearchParams } from "react-router";

import { resolvePeriod } from "@/components/daterange/period";
import { readPeriod, writePeriod } from "@/components/daterange/period-url";
import { usePageTitle } from "@/components/usePageTitle";
import { zoneCity } from "@/format";
import { LiveRegion } from "@/live/LiveRegion";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { BalancePanel } from "./BalancePanel";
import { Figures } from "./Figures";
import { RecentPanel } from "./RecentPanel";
import { TimelinePanel } from "./TimelinePanel";
import { useToday } from "./useToday";

/** Where the credits went, in one look: balance, figures, timeline and the newest entries. */
export default function DashboardPage() {
  const { zone } = useAccount();
  usePageTitle(text.dashboard.title);
  const [search, setSearch] = useSearchParams();
  const period = readPeriod(search, { kind: "month" });
  const today = useToday(zone);
  const key = JSON.stringify(period);
  // `today` stands for the clock: a period changes at midnight of the zone, not with every second.
  const range = useMemo(() => resolvePeriod(period, { zone, now: today }), [key, zone, today]); // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <div className="page">
      <header className="page-head">
        <h1>{text.dashboard.title}</h1>
        <p className="page-note" title={zone}>
          {text.common.zone(zoneCity(zone))}
        </p>
      </header>
      <BalancePanel />
      <Figures range={range} />
      <TimelinePanel
        period={period}
        range={range}
        onPeriod={(next) => setSearch(writePeriod(search, next), { preventScrollReset: true })}
      />
      <RecentPanel />
      <LiveRegion />
    </div>
  );
}
