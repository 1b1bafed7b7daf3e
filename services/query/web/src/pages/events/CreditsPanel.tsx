import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useNavigate } from "react-router";

import type { EventListed } from "@/api/types";
import { eventUsageQuery } from "@/api/queries/events";
import { servicesQuery } from "@/api/queries/prices";
import { Donut } from "@/charts/Donut";
import { OTHER_KEY, type Slice } from "@/charts/donut-data";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { Breakdown } from "./Breakdown";
import { byEngine, byService } from "./describe";
import { activityOfEngine } from "./links";

const { credits } = text.events;

/** Credits by engine as a ring, and by service as a list: the same rows, the same total. */
export function CreditsPanel({ event }: { readonly event: EventListed }) {
  const { accountId, currency } = useAccount();
  const navigate = useNavigate();
  const usage = useQuery(eventUsageQuery(accountId, event.event_id));
  const services = useQuery(servicesQuery).data?.data;
  const rows = usage.data?.data;
  const items = useMemo(() => byEngine(rows ?? [], services ?? []), [rows, services]);
  const lines = useMemo(() => byService(rows ?? [], services ?? []), [rows, services]);
  const href = (slice: Slice): string | null =>
    slice.key === OTHER_KEY ? null : activityOfEngine(event.event_id, slice.key, rows ?? []);
  return (
    <div className="event-columns event-columns-wide">
      <Panel title={credits.title} note={credits.note}>
        <QueryState query={usage} skeleton={<Skeleton height="14rem" />}>
          {() => (
            <Donut
              items={items}
              currency={currency}
              label={credits.title}
              fileName={`tollbooth-credits-${event.event_id}`}
              href={href}
              onOpen={(address) => void navigate(address)}
            />
          )}
        </QueryState>
      </Panel>
      <Panel title={text.events.breakdown.title} flush>
        <QueryState query={usage} skeleton={<Skeleton height="2.2rem" lines={7} />}>
          {({ total }) => <Breakdown lines={lines} total={total} currency={currency} />}
        </QueryState>
      </Panel>
    </div>
  );
}
