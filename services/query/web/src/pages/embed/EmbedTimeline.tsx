import { useQuery } from "@tanstack/react-query";

import { usageQuery } from "@/api/queries/usage";
import { chartBuckets } from "@/charts/adapt";
import { TimelineChart } from "@/charts/TimelineChart";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { EmbedHead } from "./EmbedHead";
import { noteOf, useMonth } from "./useMonth";

interface Props {
  eventId: string | null;
  measure: "count" | "amount";
}

/** This month by days. */
export function EmbedTimeline({ eventId, measure }: Props) {
  const { accountId, zone, currency } = useAccount();
  const range = useMonth();
  const query = useQuery(
    usageQuery(accountId, {
      from: range.from,
      to: range.to,
      tz: range.tz,
      bucket: "day",
      ...(eventId === null ? {} : { event_id: [eventId] }),
    }),
  );
  return (
    <>
      <EmbedHead title={text.embed.head.timeline} note={noteOf(range)} />
      <QueryState query={query} skeleton={<Skeleton height="18rem" />}>
        {(usage) => (
          <TimelineChart
            series={[
              {
                key: "now",
                label: text.dashboard.timeline.now,
                role: "main",
                buckets: chartBuckets(usage.buckets, new Date()),
              },
            ]}
            size="day"
            measure={measure}
            zone={zone}
            currency={currency}
            label={text.dashboard.timeline.chartLabel}
          />
        )}
      </QueryState>
    </>
  );
}
