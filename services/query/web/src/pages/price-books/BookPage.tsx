import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";

import { ApiProblem } from "@/api/problem";
import { priceBookQuery, priceBooksQuery } from "@/api/queries/prices";
import { NotFound } from "@/app/NotFound";
import { BackLink } from "@/components/BackLink";
import { buttonClass } from "@/components/Button";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import "@/components/data-table.css";
import { usePageTitle } from "@/components/usePageTitle";
import { formatDateTime, formatQuantity } from "@/format";
import { PriceTable } from "@/pages/pricing/PriceTable";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { BookState } from "./BookState";
import "./price-books.css";
import { SimulatePanel } from "./SimulatePanel";

const { priceBooks: words } = text;
const ZONE = "UTC";

/** One published book: its prices, and what work would cost by it. */
export default function BookPage() {
  const { version = "" } = useParams();
  usePageTitle(words.open(version));
  return (
    <AdminOnly icon="book" title={words.adminOnly} hint={words.adminOnlyText}>
      <Book key={version} version={version} />
    </AdminOnly>
  );
}

function Book({ version }: { version: string }) {
  const list = useQuery(priceBooksQuery);
  const query = useQuery(priceBookQuery(Number(version)));
  if (query.error instanceof ApiProblem && query.error.status === 404) return <NotFound />;
  const listed = list.data?.data.find((book) => String(book.version) === version);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <BackLink to="/price-books">{words.all}</BackLink>
          <h1 className="book-title">
            {words.open(version)} {listed === undefined ? null : <BookState book={listed} />}
          </h1>
          {listed === undefined ? null : (
            <p className="muted">
              {listed.currency} {"\u00b7"} {words.from} {formatDateTime(listed.effective_from, ZONE)} {ZONE}
            </p>
          )}
        </div>
        {query.data === undefined ? null : (
          <div className="row">
            <Link to={`/repricings/new?version=${version}`} className={buttonClass()}>
              {words.reprice}
            </Link>
            <Link to={`/price-books/${version}/draft`} className={buttonClass("primary")}>
              {words.draft}
            </Link>
          </div>
        )}
      </header>
      <Panel title={words.prices} flush>
        <QueryState
          query={query}
          skeleton={
            <div className="list-skeleton">
              <Skeleton height="2.2rem" lines={10} />
            </div>
          }
        >
          {(book) => (
            <>
              <PriceTable book={book} ownPlan={null} zone={ZONE} withRetired />
              {book.test_factor ? (
                <p className="panel-foot">{words.testFactor(formatQuantity(book.test_factor))}</p>
              ) : null}
            </>
          )}
        </QueryState>
      </Panel>
      {query.data === undefined ? null : <SimulatePanel book={query.data} draft={null} onProblem={null} />}
    </div>
  );
}
