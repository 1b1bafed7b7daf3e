import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { balanceQuery } from "@/api/queries/account";
import { eventUsageQuery } from "@/api/queries/events";
import type { EventListed, EventUsage } from "@/api/types";
import { MoneyText } from "@/components/MoneyText";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatCount, formatMoney, fromMicro, toMicro } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { figures } = text.events;

/** Four figures: what the event used, how often, for how much each, and what the account has left. */
export function EventFigures({ event }: { readonly event: EventListed }) {
  const { accountId } = useAccount();
  const usage = useQuery(eventUsageQuery(accountId, event.event_id));
  const balance = useQuery(balanceQuery(accountId)).data;
  return (
    <section aria-label={figures.label}>
      <QueryState query={usage} skeleton={<Skeleton height="6.25rem" />}>
        {({ total }) => (
          <dl className="event-figures">
            <Figure name={figures.used} note={figures.usedNote} id="event-used">
              <MoneyText money={total.amount} />
            </Figure>
            <Figure name={figures.activities} note={figures.failed(total.failed)} id="event-count">
              {formatCount(total.count)}
            </Figure>
            <Figure name={figures.average} note={figures.averageNote}>
              {average(total)}
            </Figure>
            <Figure
              name={figures.balance}
              note={balance ? figures.balanceNote(formatMoney(balance.available)) : ""}
              id="event-balance"
            >
              {balance ? <MoneyText money={balance.balance} /> : text.common.none}
            </Figure>
          </dl>
        )}
      </QueryState>
    </section>
  );
}

/** Exact to a millionth, rounded half up; shown to the cent like every average of money. */
function average(total: EventUsage["total"]): string {
  if (total.count === 0) return text.common.none;
  const count = BigInt(total.count);
  const micro = (toMicro(total.amount.amount) * 2n + count) / (2n * count);
  return formatMoney({ amount: fromMicro(micro), currency: total.amount.currency });
}

interface FigureProps {
  readonly name: string;
  readonly note: string;
  readonly id?: string;
  readonly children: ReactNode;
}

function Figure({ name, note, id, children }: FigureProps) {
  return (
    <div className="event-figure">
      <dt>{name}</dt>
      <dd className="event-figure-value tabular" data-testid={id}>
        {children}
      </dd>
      <dd className="event-figure-note">{note}</dd>
    </div>
  );
}
