import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useParams } from "react-router";

import { ApiProblem } from "@/api/problem";
import { priceBookQuery, priceBooksQuery } from "@/api/queries/prices";
import type { PriceBook } from "@/api/types";
import { NotFound } from "@/app/NotFound";
import { BackLink } from "@/components/BackLink";
import { Button } from "@/components/Button";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { useDebounced } from "@/components/useDebounced";
import "@/components/data-table.css";
import { usePageTitle } from "@/components/usePageTitle";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { ChangesPanel } from "./ChangesPanel";
import { DocumentEditor } from "./DocumentEditor";
import { draftOf, errorsOf, parseDraft, type DocumentError } from "./draft";
import "./price-books.css";
import { PublishDialog } from "./PublishDialog";
import { SimulatePanel } from "./SimulatePanel";

const { priceBooks: words } = text;

/** A new version, begun from a published one: edited, tried, published. */
export default function DraftPage() {
  const { version = "" } = useParams();
  usePageTitle(words.editor.crumb);
  return (
    <AdminOnly icon="book" title={words.adminOnly} hint={words.adminOnlyText}>
      <Load key={version} version={Number(version)} />
    </AdminOnly>
  );
}

function Load({ version }: { version: number }) {
  const book = useQuery(priceBookQuery(version));
  const list = useQuery(priceBooksQuery);
  const [now] = useState(() => Date.now());
  if (book.error instanceof ApiProblem && book.error.status === 404) return <NotFound />;
  return (
    <QueryState query={book} skeleton={<Skeleton height="32rem" />}>
      {(base) => (
        <QueryState query={list} skeleton={<Skeleton height="32rem" />}>
          {({ data }) => <Draft base={base} start={draftOf(base, data, now)} />}
        </QueryState>
      )}
    </QueryState>
  );
}

function Draft({ base, start }: { base: PriceBook; start: string }) {
  const [document, setDocument] = useState(start);
  // What the service said of the document as it is now.
  const [refused, setRefused] = useState<readonly DocumentError[]>([]);
  const [publishing, setPublishing] = useState(false);
  const settled = useDebounced(document, 300);
  const parsed = useMemo(() => parseDraft(settled), [settled]);
  const errors = parsed.error === undefined ? refused : [parsed.error];
  const take = (error: unknown): boolean => {
    const found = errorsOf(document, error);
    setRefused(found);
    return found.length > 0;
  };
  const isStill = settled === document;
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <BackLink to={`/price-books/${String(base.version)}`}>{words.open(String(base.version))}</BackLink>
          <h1>{words.editor.title(String(base.version))}</h1>
        </div>
        <Button variant="primary" disabled={!isStill || parsed.book === undefined} onClick={() => setPublishing(true)}>
          {words.editor.review}
        </Button>
      </header>
      <div className="draft">
        <Panel title={words.editor.document}>
          <DocumentEditor
            value={document}
            errors={isStill ? errors : []}
            onChange={(value) => {
              setDocument(value);
              setRefused([]);
            }}
          />
        </Panel>
        {parsed.book === undefined ? null : (
          <div className="draft-side">
            <ChangesPanel before={base} after={parsed.book} />
            <SimulatePanel book={parsed.book} draft={settled} onProblem={take} />
          </div>
        )}
      </div>
      {publishing && parsed.book !== undefined ? (
        <PublishDialog
          book={parsed.book}
          document={document}
          onRefused={(error) => {
            if (take(error)) setPublishing(false);
          }}
          onClose={() => setPublishing(false)}
        />
      ) : null}
    </div>
  );
}
