import { useMemo } from "react";
import { useSearchParams } from "react-router";

import { resolvePeriod } from "@/components/daterange/period";
import { PeriodControl, rangeText } from "@/components/daterange/PeriodControl";
import { readPeriod, writePeriod } from "@/components/daterange/period-url";
import { usePageTitle } from "@/components/usePageTitle";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { AccountsPanel } from "./AccountsPanel";
import { DeadLettersPanel } from "./DeadLettersPanel";
import { DriftPanel } from "./DriftPanel";
import "./fleet.css";
import { SpendersPanel } from "./SpendersPanel";
import { SpendPanel } from "./SpendPanel";

const { fleet } = text;
const ZONE = "UTC";

/** All accounts of the installation; for administrators. */
export default function FleetPage() {
  usePageTitle(fleet.title);
  return (
    <AdminOnly icon="fleet" title={fleet.adminOnly} hint={fleet.adminOnlyText}>
      <Fleet />
    </AdminOnly>
  );
}

function Fleet() {
  const [search, setSearch] = useSearchParams();
  const period = readPeriod(search, { kind: "month" });
  const key = JSON.stringify(period);
  const range = useMemo(() => resolvePeriod(period, { zone: ZONE, now: new Date() }), [key]); // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>{fleet.title}</h1>
          <p className="muted">{fleet.intro}</p>
        </div>
        <div className="fleet-period">
          <PeriodControl
            period={period}
            zone={ZONE}
            onChange={(next) => setSearch(writePeriod(search, next), { preventScrollReset: true })}
          />
          <p className="page-note">{`${rangeText(range.first, range.last)} \u00b7 ${ZONE}`}</p>
        </div>
      </header>
      <DriftPanel />
      <SpendPanel range={range} />
      <SpendersPanel range={range} />
      <AccountsPanel />
      <DeadLettersPanel />
    </div>
  );
}
