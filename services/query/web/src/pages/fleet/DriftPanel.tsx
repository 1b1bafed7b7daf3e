import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";

import { driftQuery } from "@/api/queries/fleet";
import type { Drift } from "@/api/types";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Icon } from "@/components/Icon";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatCount, formatDateTime, isZero } from "@/format";
import { text } from "@/text";

import { AccountLink } from "./AccountLink";
import { accountsOff, driftState, isStale, offOf, type Off } from "./drift";

const { drift: words } = text.fleet;
const ZONE = "UTC";

const at = (instant: string): string => `${formatDateTime(instant, ZONE)} ${ZONE}`;

/** Whether what customers are shown contradicts itself, as the watch beside the sink last saw it. */
export function DriftPanel() {
  const query = useQuery(driftQuery);
  const looked = query.data?.looked_at;
  return (
    <Panel title={words.title} note={looked ? words.note(at(looked)) : undefined} flush>
      <QueryState
        query={query}
        skeleton={
          <div className="list-skeleton">
            <Skeleton height="2.2rem" lines={2} />
          </div>
        }
      >
        {(drift) => <Found drift={drift} nowMs={query.dataUpdatedAt} />}
      </QueryState>
    </Panel>
  );
}

function Found({ drift, nowMs }: { drift: Drift; nowMs: number }) {
  const state = driftState(drift, nowMs);
  switch (state.is) {
    case "never":
      return (
        <EmptyState icon="clock" title={words.never}>
          {words.neverText}
        </EmptyState>
      );
    case "stale":
      return <EmptyState icon="alert" title={words.stale(at(state.since))} />;
    case "first":
      return (
        <EmptyState icon="clock" title={words.first}>
          {words.firstText(at(state.since))}
        </EmptyState>
      );
    case "fine":
      return (
        <EmptyState icon="check" title={words.fine} compact>
          {words.fineText(at(state.at))}
        </EmptyState>
      );
    case "found":
      return <Off drift={drift} stale={isStale(drift, nowMs)} />;
  }
}

function Off({ drift, stale }: { drift: Drift; stale: boolean }) {
  const { rows, unnamed } = offOf(drift);
  const count = accountsOff(drift);
  return (
    <>
      <div className="drift-found" role="alert">
        <Icon name="alert" size={16} />
        <p>
          <strong>{words.found(formatCount(count), count === 1)}</strong> {words.foundText}
          {stale && drift.looked_at ? ` ${words.stale(at(drift.looked_at))}` : null}
        </p>
      </div>
      <DataTable
        caption={words.caption}
        rows={rows}
        columns={COLUMNS}
        rowId={({ kind, example }) => `${kind} ${example.account_id}`}
      />
      {unnamed.map(({ kind, count: more }) => (
        <p key={kind} className="panel-foot">
          {`${words.kinds[kind] ?? kind}: ${words.more(formatCount(more))}`}
        </p>
      ))}
    </>
  );
}

const COLUMNS: ColumnDef<Off>[] = [
  {
    id: "account",
    header: words.account,
    accessorFn: ({ example }) => example.name ?? example.account_id,
    cell: ({ row: { original: { example } } }) =>
      example.name === null || example.name === undefined ? (
        <span className="mono">{example.account_id}</span>
      ) : (
        <AccountLink accountId={example.account_id} name={example.name} />
      ),
  },
  { id: "kind", header: words.kind, accessorFn: ({ kind }) => words.kinds[kind] ?? kind },
  {
    id: "off",
    header: words.off,
    enableSorting: false,
    meta: { numeric: true },
    cell: ({ row: { original: { example } } }) => {
      if (!example.off) return text.common.none;
      return isZero(example.off) ? words.countsOnly : <MoneyText money={example.off} />;
    },
  },
];
