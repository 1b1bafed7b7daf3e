import type { Price, PriceBook } from "@/api/types";
import { Badge } from "@/components/Badge";
import { formatDate } from "@/format";
import { text } from "@/text";

import "./pricing.css";
import { ratesText, unitOf } from "./rates";
import { priceGroups, type PriceRow } from "./rows";
import { useNow } from "./useNow";

const { pricing } = text;

interface Props {
  book: PriceBook;
  ownPlan: string | null;
  zone: string;
  /** Also what is over; the price list leaves it out. */
  withRetired?: boolean;
}

/** Every price of a book by service and plan. */
export function PriceTable({ book, ownPlan, zone, withRetired = false }: Props) {
  const groups = priceGroups(book, useNow())
    .map((group) => ({ ...group, rows: group.rows.filter((row) => withRetired || row.phase !== "retired") }))
    .filter((group) => group.rows.length > 0);
  const own = (code: string): string => (code === ownPlan ? "num prices-own" : "num");
  return (
    <div className="prices-scroll" role="region" aria-label={pricing.table} tabIndex={0}>
      <table className="prices">
        <thead>
          <tr>
            <th scope="col">{pricing.service}</th>
            <th scope="col" className="prices-unit">
              {pricing.unit}
            </th>
            {book.plans.map((plan) => (
              <th key={plan.code} scope="col" className={own(plan.code)}>
                {plan.name}
                {plan.code === ownPlan ? <span className="visually-hidden"> ({pricing.yourPlan})</span> : null}
              </th>
            ))}
          </tr>
        </thead>
        {groups.map((group) => (
          <tbody key={group.service}>
            <tr className="prices-group">
              <th scope="rowgroup">{group.name}</th>
              <td className="prices-unit" />
              {book.plans.map((plan) => (
                <td key={plan.code} className={own(plan.code)} />
              ))}
            </tr>
            {group.rows.map((row) => (
              <tr key={rowKey(row.price)}>
                <th scope="row">
                  {row.engine}
                  {row.price.variant ? <span className="muted"> {pricing.variant(row.price.variant)}</span> : null}
                  {row.price.country ? <span className="muted"> {row.price.country}</span> : null}
                  <When row={row} zone={zone} />
                  <span className="prices-unit-below muted">{unitOf(row.price)}</span>
                </th>
                <td className="prices-unit muted">{unitOf(row.price)}</td>
                {book.plans.map((plan) => (
                  <td key={plan.code} className={own(plan.code)}>
                    {ratesText(row.price, plan.code, book.currency) ?? pricing.none}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}

function rowKey(price: Price): string {
  return [price.service, price.engine, price.variant, price.country, price.effective_from].join("/");
}

function When({ row, zone }: { row: PriceRow; zone: string }) {
  const { effective_from: from, effective_to: to } = row.price;
  if (row.phase === "retired" && to) {
    return (
      <span className="prices-when">
        <Badge>{pricing.retired(formatDate(to, zone))}</Badge>
      </span>
    );
  }
  const said = row.phase === "future" && from ? pricing.fromDate(formatDate(from, zone)) : to ? pricing.until(formatDate(to, zone)) : null;
  return said === null ? null : (
    <span className="prices-when">
      <Badge tone="warning">{said}</Badge>
    </span>
  );
}
