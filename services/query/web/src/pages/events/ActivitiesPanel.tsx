import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";

import { eventTimelineQuery } from "@/api/queries/events";
import type { EventListed, Usage } from "@/api/types";
import { TimelineChart } from "@/charts/TimelineChart";
import type { ChartBucket, Measure } from "@/charts/types";
import { resolvePeriod, type Period, type ResolvedPeriod } from "@/components/daterange/period";
import { PeriodControl, rangeText } from "@/components/daterange/PeriodControl";
import { readPeriod, writePeriod } from "@/components/daterange/period-url";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Segmented } from "@/components/Segmented";
import { Skeleton } from "@/components/Skeleton";
import { currencyName, formatMoney, isoDate, zoneCity } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { activityOf } from "./links";
import { ENGINE_LINES_MAX, timelineSeries } from "./timeline-series";

const { activities } = text.events;
const CHART_HEIGHT_PX = 260;
const QUARTER_MS = 900_000;

/** How often what was done, in the event's zone, over its own time or any other. */
export function ActivitiesPanel({ event }: { readonly event: EventListed }) {
  const { accountId, currency } = useAccount();
  const navigate = useNavigate();
  const [search, setSearch] = useSearchParams();
  const [measure, setMeasure] = useState<Measure>("count");
  const [lines, setLines] = useState<"together" | "engines">("together");
  const period = readPeriod(search, { kind: "event" });
  const zone = event.time_zone;
  const range = useRange(period, event);
  const query = useQuery(
    eventTimelineQuery(accountId, event.event_id, {
      from: range.from,
      to: range.to,
      tz: zone,
      bucket: range.bucket,
      measure,
      ...(lines === "engines" ? { group_by: "engine" as const, top: ENGINE_LINES_MAX } : {}),
    }),
  );
  const drill = (bucket: ChartBucket) => {
    const last = isoDate(new Date(Date.parse(bucket.end) - 1), zone);
    void navigate(activityOf(event.event_id, { from: isoDate(bucket.start, zone), to: last }));
  };
  return (
    <Panel
      title={activities.title}
      note={text.events.activities.range(rangeText(range.first, range.last), text.common.zone(zoneCity(zone)))}
      actions={
        <PeriodControl
          period={period}
          zone={zone}
          withEvent
          onChange={(next) => {
            setSearch(writePeriod(search, next), { preventScrollReset: true });
          }}
        />
      }
    >
      <div className="event-tools">
        <Segmented
          label={activities.measure}
          value={measure}
          onChange={setMeasure}
          options={[
            { value: "count", label: activities.count },
            { value: "amount", label: currencyName(currency) },
          ]}
        />
        <Segmented
          label={activities.lines}
          value={lines}
          onChange={setLines}
          options={[
            { value: "together", label: activities.together },
            { value: "engines", label: activities.byEngine },
          ]}
        />
        {query.data && <Total usage={query.data} measure={measure} />}
      </div>
      <QueryState query={query} skeleton={<Skeleton height={`${String(CHART_HEIGHT_PX + 40)}px`} />}>
        {(usage) => (
          <TimelineChart
            series={timelineSeries(usage, lines === "engines", new Date())}
            size={usage.bucket as ResolvedPeriod["bucket"]}
            measure={measure}
            zone={zone}
            currency={currency}
            label={activities.chartLabel}
            height={CHART_HEIGHT_PX}
            fileName={`tollbooth-${event.event_id}-${range.first}-${range.last}`}
            onDrill={drill}
          />
        )}
      </QueryState>
    </Panel>
  );
}

/** The range, kept the same object until the choice, the event's span or the quarter of an hour changes. */
function useRange(period: Period, event: EventListed): ResolvedPeriod {
  const zone = event.time_zone;
  const quarter = Math.floor(new Date().getTime() / QUARTER_MS);
  const { starts_at, ends_at, first_activity_at, last_activity_at } = event;
  const key = JSON.stringify(period);
  return useMemo(
    () =>
      resolvePeriod(JSON.parse(key) as Period, {
        zone,
        now: new Date(),
        event: { starts_at, ends_at, first_activity_at, last_activity_at },
      }),
    // `quarter` stands for the clock: days and hours of every zone begin with one.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [key, zone, quarter, starts_at, ends_at, first_activity_at, last_activity_at],
  );
}

function Total({ usage, measure }: { readonly usage: Usage; readonly measure: Measure }) {
  const { total } = usage;
  return (
    <p className="event-total tabular" data-testid="activities-total">
      <strong>
        {measure === "count" ? text.charts.activities(total.count) : formatMoney(total.amount, { places: "exact" })}
      </strong>{" "}
      {activities.total}
      {total.failures > 0 && `, ${text.charts.failed(total.failures)}`}
    </p>
  );
}
