import { Link } from "react-router";

import type { EventListed } from "@/api/types";
import { shareInTenths } from "@/charts/donut-data";
import { Badge } from "@/components/Badge";
import { Instant } from "@/components/Instant";
import { MoneyText } from "@/components/MoneyText";
import { formatCount, formatPerMille } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { eventDates, eventName, eventSpan, isUnderWay } from "./describe";

const { list } = text.events;

/** A row an event, as cards on a phone. */
export function EventTable({ rows }: { readonly rows: readonly EventListed[] }) {
  const { zone } = useAccount();
  const now = new Date();
  return (
    <table className="events-table">
      <caption className="visually-hidden">{list.caption}</caption>
      <thead>
        <tr>
          <th scope="col">{list.event}</th>
          <th scope="col">{list.when}</th>
          <th scope="col" className="num">
            {list.activities}
          </th>
          <th scope="col" className="num">
            {list.failed}
          </th>
          <th scope="col" className="num">
            {list.credits}
          </th>
          <th scope="col">{list.budget}</th>
          <th scope="col" className="num">
            {list.last}
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.event_id}>
            <th scope="row">
              <Link to={`/events/${encodeURIComponent(row.event_id)}/analytics`}>{eventName(row)}</Link>
              {isUnderWay(row, now) && <Badge tone="success">{list.live}</Badge>}
              {row.name !== null && <small className="mono">{row.event_id}</small>}
            </th>
            <td data-label={list.when}>
              <When event={row} now={now} />
            </td>
            <td className="num" data-label={list.activities}>
              {formatCount(row.count)}
            </td>
            <td className="num" data-label={list.failed}>
              {formatCount(row.failed)}
            </td>
            <td className="num events-credits" data-label={list.credits}>
              <MoneyText money={row.amount} />
            </td>
            <td data-label={list.budget}>
              <BudgetCell budget={row.budget} />
            </td>
            <td className="num" data-label={list.last}>
              {row.last_activity_at ? <Instant at={row.last_activity_at} zone={zone} show="date" /> : text.common.none}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Broken between begin and end, never within them. */
function When({ event, now }: { readonly event: EventListed; readonly now: Date }) {
  const span = eventSpan(event, now);
  if (span === null || span.to === null) return eventDates(event, now);
  return (
    <span className="events-when">
      <span>{text.events.dates.open(span.from)}</span> <span>{span.to}</span>
    </span>
  );
}

function BudgetCell({ budget }: { readonly budget: EventListed["budget"] }) {
  if (!budget) return <span className="muted">{list.noBudget}</span>;
  const share = shareInTenths(budget.spent.amount, budget.amount.amount);
  if (share > 1000) return <Badge tone="danger">{list.over}</Badge>;
  const percent = formatPerMille(share);
  return (
    <span className="tabular" title={list.share(percent)}>
      {percent}
    </span>
  );
}
