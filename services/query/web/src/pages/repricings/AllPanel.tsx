import { useInfiniteQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { Link } from "react-router";

import type { RepricingListed } from "@/api/contract";
import { repricingsQuery } from "@/api/queries/repricings";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Instant } from "@/components/Instant";
import { ListPanel, ofPages } from "@/components/ListPanel";
import { MoneyText } from "@/components/MoneyText";
import { compareMoney, formatCount, formatDateTime } from "@/format";
import { text } from "@/text";

import { periodText } from "./period-text";
import { StateBadge } from "./StateBadge";

const { repricings: words } = text;
const ZONE = "UTC";

/** Every re-pricing that is kept, the newest first; its time leads to it. */
export function AllPanel() {
  const query = useInfiniteQuery(repricingsQuery);
  return (
    <ListPanel
      title={words.all}
      note={ZONE}
      query={query}
      rowsOf={ofPages<RepricingListed>}
      lines={4}
      empty={
        <EmptyState icon="repeat" title={words.empty}>
          {words.emptyText}
        </EmptyState>
      }
    >
      {(rows) => <DataTable caption={words.caption} rows={rows} columns={COLUMNS} rowId={(row) => row.repricing_id} />}
    </ListPanel>
  );
}

function accountsText([first, ...more]: readonly string[]): string {
  if (first === undefined) return words.noAccounts;
  return words.accountsOf(first, more.length === 0 ? null : formatCount(more.length));
}

const COLUMNS: ColumnDef<RepricingListed>[] = [
  {
    id: "when",
    header: words.columns.when,
    accessorKey: "created_at",
    cell: ({ row: { original: one } }) => (
      <Link to={`/repricings/${one.repricing_id}`} aria-label={words.openOne(formatDateTime(one.created_at, ZONE))}>
        <Instant at={one.created_at} zone={ZONE} />
      </Link>
    ),
  },
  {
    id: "state",
    header: words.columns.state,
    accessorKey: "state",
    cell: ({ row }) => <StateBadge state={row.original.state} />,
  },
  {
    id: "accounts",
    header: words.columns.accounts,
    accessorFn: (one) => accountsText(one.account_ids),
    cell: ({ row }) => <span className="repricing-accounts">{accountsText(row.original.account_ids)}</span>,
  },
  {
    id: "period",
    header: words.columns.period,
    accessorKey: "from",
    cell: ({ row: { original: one } }) => (
      <>
        <span className="repricing-period">{periodText(one.from, one.to)}</span>
        <br />
        <span className="muted small">{words.bookOf(String(one.price_version))}</span>
      </>
    ),
  },
  {
    id: "charges",
    header: words.columns.charges,
    accessorKey: "changes",
    meta: { numeric: true },
    cell: ({ row }) => formatCount(row.original.changes),
  },
  {
    id: "difference",
    header: words.columns.difference,
    accessorFn: (one) => one.total?.difference.amount ?? "",
    sortingFn: (a, b) => compareMoney(differenceOf(a.original), differenceOf(b.original)),
    meta: { numeric: true },
    cell: ({ row: { original: one } }) =>
      one.total === null ? text.common.none : <MoneyText money={one.total.difference} signed />,
  },
  {
    id: "reason",
    header: words.columns.reason,
    accessorFn: (one) => one.undo_reason ?? one.reason ?? "",
    cell: ({ row: { original: one } }) => (
      <span className="repricing-reason" title={one.undo_reason ?? one.reason}>
        {one.undo_reason ?? one.reason ?? text.common.none}
      </span>
    ),
  },
];

function differenceOf(one: RepricingListed) {
  return one.total?.difference ?? { amount: "0.00", currency: "USD" };
}
