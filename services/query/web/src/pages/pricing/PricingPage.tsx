import { useQuery } from "@tanstack/react-query";

import { accountQuery } from "@/api/queries/account";
import { currentPriceBookQuery } from "@/api/queries/prices";
import type { AccountPlan, PriceBook } from "@/api/types";
import { buttonClass } from "@/components/Button";
import { ErrorBoundary } from "@/components/ErrorBoundary";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { usePageTitle } from "@/components/usePageTitle";
import { formatDate } from "@/format";
import { useOptionalSession } from "@/session/context";
import { text } from "@/text";

import { PlanCards } from "./PlanCards";
import { PriceTable } from "./PriceTable";
import "./pricing.css";

const { pricing } = text;

/** The price list: public, and with the own plan marked for who is signed in. */
export default function PricingPage() {
  usePageTitle(pricing.title);
  const accountId = useOptionalSession()?.accountId ?? null;
  const account = useQuery({ ...accountQuery(accountId ?? ""), enabled: accountId !== null }).data;
  const query = useQuery(currentPriceBookQuery(account?.currency));
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>{pricing.title}</h1>
          <p className="muted">{pricing.intro}</p>
        </div>
        <a className={buttonClass()} href="#breakdown">
          {pricing.toBreakdown}
        </a>
      </header>
      <QueryState query={query} skeleton={<Skeleton height="14rem" lines={2} />}>
        {(book) => (
          <ErrorBoundary>
            <Prices book={book} own={account?.plan ?? null} zone={account?.time_zone ?? "UTC"} />
          </ErrorBoundary>
        )}
      </QueryState>
    </div>
  );
}

function Prices({ book, own, zone }: { book: PriceBook; own: AccountPlan | null; zone: string }) {
  return (
    <div className="page">
      <PlanCards book={book} own={own} zone={zone} />
      <div id="breakdown" className="anchor">
        <Panel title={pricing.breakdown} note={pricing.breakdownNote(book.currency)} flush>
          <PriceTable book={book} ownPlan={own?.code ?? null} zone={zone} />
        </Panel>
      </div>
      <Panel title={pricing.notesTitle}>
        <ul className="notes">
          {pricing.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      </Panel>
      <p className="page-note">{pricing.effective(String(book.version), formatDate(book.effective_from, zone))}</p>
    </div>
  );
}
