import { useQuery } from "@tanstack/react-query";

import { priceBooksQuery } from "@/api/queries/prices";
import { BackLink } from "@/components/BackLink";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { usePageTitle } from "@/components/usePageTitle";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { NewForm } from "./NewForm";
import "./repricings.css";

const { repricings: words } = text;

/** Which accounts, which period, by which book: looked at before anything is posted. */
export default function NewPage() {
  usePageTitle(words.new);
  return (
    <AdminOnly icon="repeat" title={words.adminOnly} hint={words.adminOnlyText}>
      <div className="page">
        <header className="page-head">
          <div>
            <BackLink to="/repricings">{words.all}</BackLink>
            <h1>{words.new}</h1>
          </div>
        </header>
        <Asked />
      </div>
    </AdminOnly>
  );
}

function Asked() {
  const books = useQuery(priceBooksQuery);
  return (
    <Panel title={words.form.title} note={words.form.note}>
      <QueryState query={books} skeleton={<Skeleton height="16rem" />}>
        {({ data }) =>
          data.length === 0 ? <EmptyState icon="book" title={words.form.noBooks} /> : <NewForm books={data} />
        }
      </QueryState>
    </Panel>
  );
}
