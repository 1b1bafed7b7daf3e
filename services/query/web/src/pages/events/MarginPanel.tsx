import { useQuery } from "@tanstack/react-query";

import { eventTimelineQuery } from "@/api/queries/events";
import type { EventListed, Money, Usage } from "@/api/types";
import { resolvePeriod } from "@/components/daterange/period";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatMoney, formatPerMille, fromMicro, perMille, placesFor, toMicro } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { margin: words } = text.events;

interface Line {
  readonly key: string;
  readonly name: string;
  readonly revenue: bigint;
  readonly cost: bigint;
}

/** Revenue less what the providers take, by engine; the API tells it administrators only. */
export function MarginPanel({ event }: { readonly event: EventListed }) {
  const { accountId, currency } = useAccount();
  const range = resolvePeriod({ kind: "event" }, { zone: event.time_zone, now: new Date(), event });
  const query = useQuery(
    eventTimelineQuery(accountId, event.event_id, {
      from: range.from,
      to: range.to,
      tz: event.time_zone,
      bucket: range.bucket,
      group_by: "engine",
      measure: "margin",
    }),
  );
  return (
    <Panel title={words.title} note={words.note} flush>
      <QueryState query={query} skeleton={<Skeleton height="2.2rem" lines={5} />}>
        {(usage) => <MarginTable lines={marginLines(usage)} currency={currency} />}
      </QueryState>
    </Panel>
  );
}

export function marginLines(usage: Usage): Line[] {
  const lines = new Map<string, Line>();
  for (const group of usage.buckets.flatMap((bucket) => bucket.groups ?? [])) {
    const key = group.key ?? "";
    const known = lines.get(key) ?? { key, name: group.name ?? key, revenue: 0n, cost: 0n };
    lines.set(key, {
      ...known,
      revenue: known.revenue + toMicro(group.amount.amount),
      cost: known.cost + toMicro(group.provider_cost?.amount ?? "0"),
    });
  }
  return [...lines.values()].sort((a, b) => (b.revenue - b.cost > a.revenue - a.cost ? 1 : -1));
}

function MarginTable({ lines, currency }: { readonly lines: readonly Line[]; readonly currency: string }) {
  if (lines.length === 0) return <p className="panel-text muted">{words.none}</p>;
  const total = lines.reduce(
    (sum, line) => ({ ...sum, revenue: sum.revenue + line.revenue, cost: sum.cost + line.cost }),
    {
      key: "total",
      name: words.total,
      revenue: 0n,
      cost: 0n,
    },
  );
  const places = placesFor(
    [...lines, total].flatMap(({ revenue, cost }) => [revenue, cost, revenue - cost].map((micro) => money(micro, currency))),
  );
  return (
    <div className="table-scroll">
      <table className="breakdown">
        <caption className="visually-hidden">{words.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{words.engine}</th>
            <th scope="col">{words.revenue}</th>
            <th scope="col">{words.cost}</th>
            <th scope="col">{words.margin}</th>
            <th scope="col">{words.share}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <MarginRow key={line.key} line={line} currency={currency} places={places} />
          ))}
        </tbody>
        <tfoot>
          <MarginRow line={total} currency={currency} places={places} />
        </tfoot>
      </table>
    </div>
  );
}

const money = (micro: bigint, currency: string): Money => ({ amount: fromMicro(micro), currency });

interface RowProps {
  readonly line: Line;
  readonly currency: string;
  readonly places: number;
}

function MarginRow({ line, currency, places }: RowProps) {
  const shown = (micro: bigint): string => formatMoney(money(micro, currency), { places });
  const margin = line.revenue - line.cost;
  const share = perMille(money(margin, currency), money(line.revenue, currency));
  return (
    <tr>
      <th scope="row">{line.name}</th>
      <td>{shown(line.revenue)}</td>
      <td>{shown(line.cost)}</td>
      <td>{shown(margin)}</td>
      <td>{share === null ? text.common.none : formatPerMille(share)}</td>
    </tr>
  );
}
