import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";

import { usageQuery } from "@/api/queries/usage";
import type { Usage } from "@/api/types";
import { chartBuckets } from "@/charts/adapt";
import { TimelineChart } from "@/charts/TimelineChart";
import type { Accumulation, ChartBucket, ChartSeries, Measure } from "@/charts/types";
import type { Period, ResolvedPeriod } from "@/components/daterange/period";
import { PeriodControl, rangeText } from "@/components/daterange/PeriodControl";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Segmented } from "@/components/Segmented";
import { Skeleton } from "@/components/Skeleton";
import { currencyName, formatCount, formatMoney, isoDate, zoneCity } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { timeline } = text.dashboard;
const CHART_HEIGHT = 280;

interface Props {
  period: Period;
  range: ResolvedPeriod;
  onPeriod: (period: Period) => void;
}

/** The trend of AI processing, in blocks of the account's calendar. */
export function TimelinePanel({ period, range, onPeriod }: Props) {
  const { accountId, zone, currency } = useAccount();
  const navigate = useNavigate();
  const [measure, setMeasure] = useState<Measure>("count");
  const [accumulation, setAccumulation] = useState<Accumulation>("bucket");
  const [compare, setCompare] = useState(false);
  const query = useQuery(
    usageQuery(accountId, {
      from: range.from,
      to: range.to,
      tz: range.tz,
      bucket: range.bucket,
      ...(compare ? { compare: "previous" as const } : {}),
    }),
  );
  const drill = (bucket: ChartBucket) => {
    const first = isoDate(bucket.start, zone);
    const last = isoDate(new Date(Date.parse(bucket.end) - 1), zone);
    void navigate(`/activity?from=${first}&to=${last}`);
  };
  return (
    <Panel
      title={timeline.title}
      note={`${rangeText(range.first, range.last)} \u00b7 ${text.common.zone(zoneCity(zone))}`}
      actions={<PeriodControl period={period} zone={zone} onChange={onPeriod} />}
    >
      <div className="timeline-tools">
        <Segmented
          label={timeline.measure}
          value={measure}
          onChange={setMeasure}
          options={[
            { value: "count", label: timeline.count },
            { value: "amount", label: currencyName(currency) },
          ]}
        />
        <Segmented
          label={timeline.accumulation}
          value={accumulation}
          onChange={setAccumulation}
          options={[
            { value: "bucket", label: timeline.bucket },
            { value: "cumulative", label: timeline.cumulative },
          ]}
        />
        <label className="check">
          <input type="checkbox" checked={compare} onChange={(event) => setCompare(event.target.checked)} />
          <span>{timeline.compare}</span>
        </label>
        {query.data === undefined ? null : <Total usage={query.data} measure={measure} />}
      </div>
      <QueryState query={query} skeleton={<Skeleton height={`${CHART_HEIGHT + 40}px`} />}>
        {(usage) => (
          <TimelineChart
            series={seriesOf(usage, compare)}
            size={usage.bucket as ResolvedPeriod["bucket"]}
            measure={measure}
            accumulation={accumulation}
            zone={zone}
            currency={currency}
            label={timeline.chartLabel}
            height={CHART_HEIGHT}
            fileName={`tollbooth-timeline-${range.first}-${range.last}`}
            onDrill={drill}
          />
        )}
      </QueryState>
    </Panel>
  );
}

function Total({ usage, measure }: { usage: Usage; measure: Measure }) {
  const { total } = usage;
  return (
    <p className="timeline-total tabular" data-testid="timeline-total">
      <strong>{measure === "count" ? formatCount(total.count) : formatMoney(total.amount)}</strong>{" "}
      {measure === "count" ? timeline.count.toLowerCase() : timeline.spent}
    </p>
  );
}

function seriesOf(usage: Usage, compare: boolean): ChartSeries[] {
  const now = new Date();
  const main: ChartSeries = {
    key: "now",
    label: timeline.now,
    role: "main",
    buckets: chartBuckets(usage.buckets, now),
  };
  if (!compare || usage.previous === undefined) return [main];
  return [
    main,
    {
      key: "before",
      label: timeline.before,
      role: "compare",
      dash: "4 4",
      buckets: chartBuckets(usage.previous.buckets, now),
    },
  ];
}
