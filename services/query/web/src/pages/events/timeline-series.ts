import type { TimelineGroup, Usage } from "@/api/types";
import { chartBuckets } from "@/charts/adapt";
import { colourOf, engineLook, OTHER_LOOK } from "@/charts/engine-colours";
import type { ChartBucket, ChartSeries } from "@/charts/types";
import { text } from "@/text";

/** More lines than this cannot be told apart. */
export const ENGINE_LINES_MAX = 5;

interface Engine {
  readonly key: string | null;
  readonly name: string;
}

function engines(usage: Usage): Engine[] {
  const found = new Map<string | null, string>();
  for (const bucket of usage.buckets) {
    for (const group of bucket.groups ?? []) {
      const key = group.key ?? null;
      if (!found.has(key)) found.set(key, key === null ? text.events.activities.other : (group.name ?? key));
    }
  }
  return [...found].map(([key, name]) => ({ key, name }));
}

function blocksOf(usage: Usage, key: string | null, now: Date): ChartBucket[] {
  const whole = chartBuckets(usage.buckets, now);
  return whole.map((bucket, index) => {
    const group: TimelineGroup | undefined = usage.buckets[index]?.groups?.find((item) => (item.key ?? null) === key);
    return {
      ...bucket,
      count: group?.count ?? 0,
      failures: group?.failures ?? 0,
      amount: group?.amount.amount ?? "0.00",
    };
  });
}

/** The line of everything, and when wanted one an engine in the engine's own colour and dashes. */
export function timelineSeries(usage: Usage, byEngine: boolean, now: Date): ChartSeries[] {
  const all: ChartSeries = {
    key: "all",
    label: text.events.activities.all,
    role: "main",
    buckets: chartBuckets(usage.buckets, now),
  };
  if (!byEngine) return [all];
  return [
    all,
    ...engines(usage).map(({ key, name }): ChartSeries => {
      const look = key === null ? OTHER_LOOK : engineLook(key);
      return {
        key: key ?? "other",
        label: name,
        role: "group",
        colour: colourOf(look),
        ...(look.dash === undefined ? {} : { dash: look.dash }),
        buckets: blocksOf(usage, key, now),
      };
    }),
  ];
}
