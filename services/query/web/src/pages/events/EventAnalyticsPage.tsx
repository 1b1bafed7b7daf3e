import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";

import { ApiProblem } from "@/api/problem";
import type { EventListed } from "@/api/types";
import { eventQuery } from "@/api/queries/events";
import { BackLink } from "@/components/BackLink";
import { Badge } from "@/components/Badge";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { usePageTitle } from "@/components/usePageTitle";
import { zoneCity } from "@/format";
import { LiveRegion } from "@/live/LiveRegion";
import { useAccount, useSession } from "@/session/context";
import { text } from "@/text";

import { ActivitiesPanel } from "./ActivitiesPanel";
import { BudgetPanel } from "./BudgetPanel";
import { CreditsPanel } from "./CreditsPanel";
import { eventDates, eventName, isUnderWay } from "./describe";
import { EstimatePanel } from "./EstimatePanel";
import { EventFigures } from "./EventFigures";
import { EventLedger } from "./EventLedger";
import "./events.css";
import { MarginPanel } from "./MarginPanel";

/** Where the credits of one event went, while it runs and after. */
export default function EventAnalyticsPage() {
  const { eventId = "" } = useParams();
  const { accountId, zone } = useAccount();
  const query = useQuery(eventQuery(accountId, eventId));
  // A server without the route still knows what the event used.
  if (query.error instanceof ApiProblem && query.error.isMissing && query.data === undefined) {
    return <Analytics key={eventId} event={bareEvent(eventId, zone)} isUnknown />;
  }
  return (
    <QueryState query={query} skeleton={<Skeleton height="12rem" lines={3} />}>
      {(event) => <Analytics key={eventId} event={event} />}
    </QueryState>
  );
}

function bareEvent(eventId: string, zone: string): EventListed {
  return {
    event_id: eventId,
    name: null,
    starts_at: null,
    ends_at: null,
    time_zone: zone,
    budget: null,
    amount: { amount: "0.00", currency: "USD" },
    count: 0,
    failed: 0,
    first_activity_at: null,
    last_activity_at: null,
  };
}

function Analytics({ event, isUnknown = false }: { readonly event: EventListed; readonly isUnknown?: boolean }) {
  const { isAdmin } = useSession();
  const name = eventName(event);
  usePageTitle(`${name}, ${text.events.analytics}`);
  return (
    <div className="page">
      <header className="event-head">
        <BackLink to="/events">{text.events.back}</BackLink>
        <div className="page-head">
          <h1>
            {name} {isUnderWay(event, new Date()) && <Badge tone="success">{text.events.list.live}</Badge>}
          </h1>
          <p className="page-note">{text.events.zone(text.common.zone(zoneCity(event.time_zone)))}</p>
        </div>
        <p className="event-facts">
          <span>{isUnknown ? text.events.dates.nothing : eventDates(event, new Date())}</span>
          {event.name !== null && <span className="mono">{event.event_id}</span>}
        </p>
      </header>
      <EventFigures event={event} />
      <CreditsPanel event={event} />
      <ActivitiesPanel event={event} />
      <div className="event-columns">
        <BudgetPanel event={event} />
        <EstimatePanel event={event} />
      </div>
      {isAdmin && <MarginPanel event={event} />}
      <EventLedger event={event} />
      <LiveRegion />
    </div>
  );
}
