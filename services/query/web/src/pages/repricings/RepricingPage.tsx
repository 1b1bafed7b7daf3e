import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "react-router";

import type { Repricing } from "@/api/contract";
import { ApiProblem } from "@/api/problem";
import { previewQuery, repricingQuery, type Way } from "@/api/queries/repricings";
import { NotFound } from "@/app/NotFound";
import { BackLink } from "@/components/BackLink";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import "@/components/data-table.css";
import { usePageTitle } from "@/components/usePageTitle";
import { formatDateTime } from "@/format";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { AccountsPanel } from "./AccountsPanel";
import { Actions } from "./Actions";
import { draftOf, writeDraft } from "./draft";
import { linesOf } from "./lines";
import { LinesPanel } from "./LinesPanel";
import { periodText } from "./period-text";
import { ProgressPanel } from "./ProgressPanel";
import { ReasonDialog } from "./ReasonDialog";
import "./repricings.css";
import { StateBadge } from "./StateBadge";
import { StaysPanel } from "./StaysPanel";
import { SumsPanel } from "./SumsPanel";
import { useRun } from "./useRun";

const { repricings: words } = text;
const ZONE = "UTC";

/** One re-pricing: what was seen, how far it is, and the ways on and back. */
export default function RepricingPage() {
  const { repricingId = "" } = useParams();
  usePageTitle(words.one);
  return (
    <AdminOnly icon="repeat" title={words.adminOnly} hint={words.adminOnlyText}>
      <Load key={repricingId} repricingId={repricingId} />
    </AdminOnly>
  );
}

function Load({ repricingId }: { repricingId: string }) {
  const query = useQuery(repricingQuery(repricingId));
  if (query.data === undefined && query.error instanceof ApiProblem && query.error.status === 404) return <NotFound />;
  return (
    <QueryState query={query} skeleton={<Skeleton height="32rem" />}>
      {(repricing) => <Shown repricing={repricing} />}
    </QueryState>
  );
}

function Shown({ repricing }: { repricing: Repricing }) {
  const run = useRun(repricing);
  const preview = useQuery(previewQuery(repricing.repricing_id)).data;
  const [asking, setAsking] = useState<Way | null>(null);
  const accountIds = repricing.accounts.map((account) => account.account_id);
  const again = `/repricings/new?${writeDraft(draftOf(repricing, accountIds)).toString()}`;
  const changes = repricing.accounts.some((account) => account.changes > 0);
  const hasLines = preview === undefined ? changes : linesOf(preview).length > 0;
  const version = String(repricing.price_version);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <BackLink to="/repricings">{words.all}</BackLink>
          <h1 className="repricing-title">
            {words.one} <StateBadge state={repricing.state} />
          </h1>
          <p className="muted">
            {periodText(repricing.from, repricing.to)} {ZONE} {"\u00b7"}{" "}
            <Link to={`/price-books/${version}`}>{words.bookOf(version)}</Link>
          </p>
          <p className="muted small">
            {words.columns.when} {formatDateTime(repricing.created_at, ZONE)} {ZONE} {words.by(repricing.actor)}
          </p>
        </div>
        <Actions
          repricing={repricing}
          run={run}
          again={again}
          onAsk={setAsking}
          onGoOn={(way) => run.start({ way, reason: null })}
        />
      </header>
      <SumsPanel repricing={repricing} />
      {repricing.state === "previewed" && run.way === null ? null : <ProgressPanel repricing={repricing} run={run} />}
      {changes ? <AccountsPanel repricing={repricing} /> : null}
      {preview === undefined ? null : <StaysPanel preview={preview} />}
      {hasLines ? <LinesPanel preview={preview} again={again} /> : null}
      {asking === null ? null : (
        <ReasonDialog
          way={asking}
          repricing={repricing}
          onClose={() => setAsking(null)}
          onSubmit={(reason) => {
            setAsking(null);
            run.start({ way: asking, reason });
          }}
        />
      )}
    </div>
  );
}
