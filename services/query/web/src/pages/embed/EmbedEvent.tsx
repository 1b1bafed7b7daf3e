import { useQuery } from "@tanstack/react-query";

import { eventQuery, eventUsageQuery } from "@/api/queries/events";
import { servicesQuery } from "@/api/queries/prices";
import type { EventUsage } from "@/api/types";
import { Donut } from "@/charts/Donut";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { byEngine, eventDates, eventName } from "@/pages/events/describe";
import { text } from "@/text";

import { EmbedHead } from "./EmbedHead";

interface Props {
  accountId: string;
  eventId: string;
}

/** What an event used, as a whole. A token of that event reads this and nothing of the account, so nothing else is asked. */
export function EmbedEvent({ accountId, eventId }: Props) {
  const usage = useQuery(eventUsageQuery(accountId, eventId));
  return (
    <>
      <Head accountId={accountId} eventId={eventId} />
      <QueryState query={usage} skeleton={<Skeleton height="16rem" />}>
        {(data) => <Used usage={data} />}
      </QueryState>
    </>
  );
}

function Head({ accountId, eventId }: Props) {
  const event = useQuery(eventQuery(accountId, eventId)).data;
  if (event === undefined) return null;
  return <EmbedHead title={eventName(event)} note={eventDates(event, new Date())} />;
}

function Used({ usage }: { usage: EventUsage }) {
  const services = useQuery(servicesQuery).data?.data;
  return (
    <Donut
      items={byEngine(usage.data, services ?? [])}
      currency={usage.total.amount.currency}
      label={text.embed.widgets.donut}
    />
  );
}
