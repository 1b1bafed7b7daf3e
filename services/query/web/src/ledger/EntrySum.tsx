import { useQuery } from "@tanstack/react-query";

import { currentPriceBookQuery } from "@/api/queries/prices";
import type { TransactionDetail } from "@/api/types";
import { Badge } from "@/components/Badge";
import { MoneyText } from "@/components/MoneyText";
import { addMoney, negate } from "@/format";
import { text } from "@/text";

import { calculationText } from "./calculation";
import { serviceText, typeText } from "./describe";
import { LateBadge } from "./LateBadge";
import { StatusBadge } from "./StatusBadge";

const { detail } = text.activity;

/** The amount, how it was calculated, and the balance around it. */
export function EntrySum({ entry }: { entry: TransactionDetail }) {
  const charged = entry.type === "consume" && entry.status !== "failed";
  const title = charged ? detail.why.consume : entry.status === "failed" ? detail.why.failed : detail.why.other;
  const before = addMoney(entry.balance_after, negate(entry.amount));
  return (
    <>
      <div className="detail-sum">
        <p className="muted small">{serviceText(entry)}</p>
        <p className="detail-amount">
          <MoneyText money={entry.amount} places="exact" signed />
        </p>
        <p className="detail-badges">
          <Badge>{typeText(entry.type)}</Badge>
          <StatusBadge status={entry.status} />
          <LateBadge row={entry} />
          {entry.test_mode ? <Badge tone="info">{detail.test}</Badge> : null}
        </p>
      </div>
      <section className="detail-section" aria-label={title}>
        <h3>{title}</h3>
        <div className="detail-box" data-testid="why">
          <Calculation entry={entry} />
          <p className="detail-line">
            <span>{detail.balanceBefore}</span>
            <MoneyText money={before} places="exact" />
          </p>
          <p className="detail-line">
            <span>{detail.amount}</span>
            <MoneyText money={entry.amount} places="exact" signed />
          </p>
          <p className="detail-line detail-line-total">
            <span>{detail.balanceAfter}</span>
            <MoneyText money={entry.balance_after} places="exact" />
          </p>
        </div>
      </section>
    </>
  );
}

function Calculation({ entry }: { entry: TransactionDetail }) {
  const book = useQuery(currentPriceBookQuery(entry.amount.currency)).data;
  const plan = book?.plans.find((item) => item.code === entry.plan)?.name ?? entry.plan;
  const retries =
    entry.attempt !== null && entry.attempt !== undefined && entry.attempt > 1 ? (
      <p className="muted small">{detail.retries(String(entry.attempt))}</p>
    ) : null;
  if (entry.status === "failed") {
    return (
      <>
        <p>{detail.failedFree}</p>
        {entry.reason ? <p className="muted small">{detail.failedReason(entry.reason.replaceAll("_", " "))}</p> : null}
        {retries}
      </>
    );
  }
  const { unit_price, quantity, unit } = entry;
  if (!unit_price || !quantity) return entry.explanation ? <p>{entry.explanation}</p> : null;
  return (
    <>
      <p className="detail-calc">
        <span>{calculationText({ ...entry, unit_price, quantity, unit: unit ?? "" })}</span>
      </p>
      {plan && entry.price_version ? (
        <p className="muted small">{detail.plan(plan, String(entry.price_version))}</p>
      ) : null}
      {retries}
    </>
  );
}
