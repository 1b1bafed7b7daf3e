import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";

import { fleetUsageQuery } from "@/api/queries/usage";
import type { FleetUsage, Money } from "@/api/types";
import { resolvePeriod } from "@/components/daterange/period";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { compareMoney, formatCount, formatPerMille } from "@/format";
import { text } from "@/text";

import { spendByKey, type EngineSpend } from "./spend";

const { fleet } = text;

/** What all accounts spent this month, by engine, with cost and margin. */
export function SpendPanel() {
  const range = useMemo(() => resolvePeriod({ kind: "month" }, { zone: "UTC", now: new Date() }), []);
  const query = useQuery(
    fleetUsageQuery({
      from: range.from,
      to: range.to,
      tz: "UTC",
      bucket: "month",
      group_by: "engine",
    }),
  );
  return (
    <Panel title={fleet.spendTitle} note={fleet.spendNote} flush>
      <QueryState
        query={query}
        skeleton={
          <div className="ledger-skeleton">
            <Skeleton height="2.2rem" lines={6} />
          </div>
        }
      >
        {(usage) => <Spend usage={usage} />}
      </QueryState>
    </Panel>
  );
}

function Spend({ usage }: { usage: FleetUsage }) {
  const rows = useMemo(() => spendByKey(usage), [usage]);
  const { total } = usage;
  if (rows.length === 0) return <EmptyState title={text.activity.emptyAccount} />;
  return (
    <>
      <dl className="fleet-figures">
        <Figure label={fleet.figures.spent}>
          <MoneyText money={total.amount} />
        </Figure>
        {total.provider_cost === undefined ? null : (
          <Figure label={fleet.figures.cost}>
            <MoneyText money={total.provider_cost} />
          </Figure>
        )}
        {total.margin === undefined ? null : (
          <Figure label={fleet.figures.margin}>
            <MoneyText money={total.margin} />
          </Figure>
        )}
        <Figure label={fleet.figures.operations}>{formatCount(total.count)}</Figure>
        <Figure label={fleet.figures.failed}>{formatCount(total.failures)}</Figure>
      </dl>
      <DataTable caption={fleet.spendCaption} rows={rows} columns={COLUMNS} rowId={(row) => row.key} />
    </>
  );
}

function Figure({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <dt className="muted small">{label}</dt>
      <dd className="fleet-figure tabular">{children}</dd>
    </div>
  );
}

function money(id: "amount" | "cost" | "margin", header: string): ColumnDef<EngineSpend> {
  const zero = (value: Money | null): Money => value ?? { amount: "0.00", currency: "USD" };
  return {
    id,
    header,
    accessorFn: (row) => row[id]?.amount ?? "",
    sortingFn: (a, b) => compareMoney(zero(a.original[id]), zero(b.original[id])),
    meta: { numeric: true },
    cell: ({ row }) => {
      const value = row.original[id];
      return value === null ? text.common.none : <MoneyText money={value} />;
    },
  };
}

const COLUMNS: ColumnDef<EngineSpend>[] = [
  { id: "engine", header: fleet.columns.engine, accessorKey: "name" },
  {
    id: "count",
    header: fleet.columns.count,
    accessorKey: "count",
    meta: { numeric: true },
    cell: ({ row }) => formatCount(row.original.count),
  },
  {
    id: "failed",
    header: fleet.columns.failed,
    accessorKey: "failures",
    meta: { numeric: true },
    cell: ({ row }) => formatCount(row.original.failures),
  },
  money("amount", fleet.columns.spent),
  money("cost", fleet.columns.cost),
  money("margin", fleet.columns.margin),
  {
    id: "share",
    header: fleet.columns.share,
    accessorFn: (row) => row.share ?? 0,
    meta: { numeric: true },
    cell: ({ row }) =>
      row.original.share === null ? (
        text.common.none
      ) : (
        <>
          <span className="share-bar" aria-hidden="true">
            <span className="share-fill" style={{ width: `${String(row.original.share / 10)}%` }} />
          </span>
          <span className="share-text">{formatPerMille(row.original.share)}</span>
        </>
      ),
  },
];
