import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { balanceQuery, summaryQuery } from "@/api/queries/account";
import type { Money, Summary } from "@/api/types";
import type { ResolvedPeriod } from "@/components/daterange/period";
import { rangeText } from "@/components/daterange/PeriodControl";
import { MoneyText } from "@/components/MoneyText";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { changePerMille, formatCount, formatMoney, formatPerMille, isNegative, isZero, toMicro } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { figures } = text.dashboard;

/** The four figures of the period that the timeline shows. */
export function Figures({ range }: { range: ResolvedPeriod }) {
  const { accountId } = useAccount();
  const query = useQuery({
    ...summaryQuery(accountId, { from: range.from, to: range.to, tz: range.tz }),
    placeholderData: (previous, from) => (from?.queryKey[1] === accountId ? previous : undefined),
  });
  return (
    <section aria-label={figures.label}>
      <p className="figures-period">{figures.period(rangeText(range.first, range.last))}</p>
      <QueryState query={query} skeleton={<Skeleton height="6.6rem" />}>
        {(summary) => <FigureRow summary={summary} />}
      </QueryState>
    </section>
  );
}

function FigureRow({ summary }: { summary: Summary }) {
  const { accountId } = useAccount();
  const { period, previous } = summary;
  // The live balance is the newer one of the two.
  const balance = useQuery(balanceQuery(accountId)).data?.balance ?? summary.balance;
  const failed = period.failures > 0 ? ` \u00b7 ${figures.failed(formatCount(period.failures))}` : "";
  return (
    <dl className="figures">
      <Figure label={figures.balance} value={balance} id="balance">
        {isZero(period.other) ? null : figures.other(formatMoney(period.other, { signed: true }))}
      </Figure>
      <Figure label={figures.used} value={period.used} before={previous.used} id="used">
        {figures.activities(period.operations) + failed}
      </Figure>
      <Figure label={figures.purchased} value={period.purchased} before={previous.purchased} id="purchased" />
      <Figure label={figures.net} value={period.net_usage} id="net">
        {figures.netNote}
      </Figure>
    </dl>
  );
}

interface FigureProps {
  label: string;
  value: Money;
  before?: Money;
  id: string;
  children?: ReactNode;
}

function Figure({ label, value, before, id, children }: FigureProps) {
  return (
    <div className="figure">
      <dt className="figure-label">{label}</dt>
      <dd className="figure-value" data-testid={`figure-${id}`}>
        <MoneyText money={value} />
      </dd>
      {before === undefined || (isZero(before) && isZero(value)) ? null : (
        <dd className={`figure-note ${isZero(before) ? "" : "figure-change"}`} title={formatMoney(before)}>
          {changeText(value, before)}
        </dd>
      )}
      {children === undefined || children === null ? null : <dd className="figure-note">{children}</dd>}
    </div>
  );
}

function changeText(value: Money, before: Money): string {
  const change = changePerMille(toMicro(value.amount), toMicro(before.amount));
  if (change === null || isNegative(before)) return isZero(value) ? figures.noChange : figures.new;
  if (change === 0) return figures.noChange;
  const sign = change > 0 ? "+" : "";
  return figures.change(sign + formatPerMille(change));
}
