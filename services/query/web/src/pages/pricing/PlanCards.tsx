import type { AccountPlan, Plan, PriceBook } from "@/api/types";
import { Badge } from "@/components/Badge";
import { formatDate, formatMoney, isZero } from "@/format";
import { text } from "@/text";

import { priceGroups } from "./rows";
import { useNow } from "./useNow";

const { pricing } = text;
const EXAMPLES_MAX = 4;

interface Props {
  book: PriceBook;
  own: AccountPlan | null;
  zone: string;
}

export function PlanCards({ book, own, zone }: Props) {
  // The first engine of the first services stands for what a plan makes of a price.
  const examples = priceGroups(book, useNow())
    .flatMap(({ name, rows }) => {
      const row = rows.find(({ phase, price }) => phase === "current" && Object.keys(price.plans).length > 0);
      return row === undefined ? [] : [{ ...row, name }];
    })
    .slice(0, EXAMPLES_MAX);
  return (
    <ul className="plans">
      {book.plans.map((plan) => (
        <li key={plan.code} className={`panel plan ${own?.code === plan.code ? "plan-own" : ""}`}>
          <div className="plan-head">
            <h2>{plan.name}</h2>
            <OwnBadge plan={plan} own={own} zone={zone} />
          </div>
          <Fee plan={plan} currency={book.currency} />
          <dl className="plan-examples">
            {examples.map(({ price, engine, name }) => {
              const amount = price.plans[plan.code];
              return (
                <div className="plan-example" key={price.service + price.engine}>
                  {/* An engine alone would not say which of its prices this is. */}
                  <dt>
                    {name} <small>{engine}</small>
                  </dt>
                  <dd className="tabular">
                    {amount === undefined
                      ? pricing.none
                      : pricing.from(formatMoney({ amount, currency: book.currency }, { places: "exact" }), price.unit)}
                  </dd>
                </div>
              );
            })}
          </dl>
        </li>
      ))}
    </ul>
  );
}

function Fee({ plan, currency }: { plan: Plan; currency: string }) {
  const fee = { amount: plan.monthly_fee, currency };
  return (
    <p className="plan-fee">
      <strong className="tabular">{formatMoney(fee).replace(/\.00$/, "")}</strong>
      <span className="muted small">{isZero(fee) ? pricing.free : pricing.perMonth}</span>
    </p>
  );
}

function OwnBadge({ plan, own, zone }: { plan: Plan; own: AccountPlan | null; zone: string }) {
  if (own?.code !== plan.code) return null;
  return (
    <Badge tone="info" icon="check">
      {own.in_force ? pricing.yourPlan : pricing.yourPlanFrom(formatDate(own.effective_from, zone))}
    </Badge>
  );
}
