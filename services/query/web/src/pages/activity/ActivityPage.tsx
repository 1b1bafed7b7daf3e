import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";

import { servicesQuery } from "@/api/queries/prices";
import { ErrorBoundary } from "@/components/ErrorBoundary";
import { usePageTitle } from "@/components/usePageTitle";
import { zoneCity } from "@/format";
import { EntryDrawer } from "@/ledger/EntryDrawer";
import { LiveRegion } from "@/live/LiveRegion";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import "./activity.css";
import { ActivityList } from "./ActivityList";
import { FilterBar } from "./FilterBar";
import { FilterChips } from "./FilterChips";
import { NO_FILTERS, readFilters, writeFilters, type Filters } from "./filters";

const NO_SERVICES: never[] = [];

/** The master log: every entry of the account, searched, filtered, explained. */
export default function ActivityPage() {
  const { zone, accountId } = useAccount();
  usePageTitle(text.activity.title);
  const [search, setSearch] = useSearchParams();
  const address = search.toString();
  const filters = useMemo(() => readFilters(new URLSearchParams(address)), [address]);
  const services = useQuery(servicesQuery).data?.data ?? NO_SERVICES;
  const openId = search.get("entry");

  // Each chosen filter is a step of the history; letters of a search are not.
  const change = useCallback(
    (part: Partial<Filters>, replace = false) => {
      setSearch((before) => writeFilters(before, { ...readFilters(before), ...part }), { replace });
    },
    [setSearch],
  );
  const openEntry = useCallback(
    (entryId: string | null) => {
      setSearch(
        (before) => {
          const next = new URLSearchParams(before);
          if (entryId === null) next.delete("entry");
          else next.set("entry", entryId);
          return next;
        },
        { preventScrollReset: true, replace: entryId === null },
      );
    },
    [setSearch],
  );

  return (
    <div className="page">
      <header className="page-head">
        <h1>{text.activity.title}</h1>
        <p className="page-note" title={zone}>
          {text.common.zone(zoneCity(zone))}
        </p>
      </header>
      <section className="panel" aria-label={text.activity.title}>
        <FilterBar filters={filters} services={services} zone={zone} onChange={change} />
        <FilterChips filters={filters} onChange={change} />
        <ErrorBoundary>
          <ActivityList
            key={accountId}
            filters={filters}
            services={services}
            openId={openId}
            onOpen={openEntry}
            onClear={() => change(NO_FILTERS)}
          />
        </ErrorBoundary>
      </section>
      {openId === null ? null : (
        <EntryDrawer
          entryId={openId}
          zone={zone}
          onOpenEntry={openEntry}
          onClose={() => openEntry(null)}
        />
      )}
      <LiveRegion />
    </div>
  );
}
