import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { Link } from "react-router";

import type { BoothListed } from "@/api/types";
import { boothsQuery } from "@/api/queries/booths";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Instant } from "@/components/Instant";
import { ListPanel, ofPage } from "@/components/ListPanel";
import { MoneyText } from "@/components/MoneyText";
import { compareMoney, formatCount } from "@/format";
import { useAccount, useSession } from "@/session/context";
import { text } from "@/text";

import { PauseDialog } from "./PauseDialog";

const { booths: words } = text.settings;

/** Booths with what they did; an administrator can keep one from starting work. */
export function BoothsPanel() {
  const { accountId, zone } = useAccount();
  const { isAdmin } = useSession();
  const query = useQuery(boothsQuery(accountId));
  const [asked, setAsked] = useState<BoothListed | null>(null);
  const columns = useMemo(() => columnsOf(zone, isAdmin ? setAsked : null), [zone, isAdmin]);
  return (
    <ListPanel
      title={words.title}
      query={query}
      rowsOf={ofPage<BoothListed>}
      lines={4}
      empty={<EmptyState title={words.empty} />}
      after={asked === null ? null : <PauseDialog booth={asked} onClose={() => setAsked(null)} />}
    >
      {(rows) => (
        <>
          <DataTable caption={words.caption} rows={rows} columns={columns} rowId={(booth) => booth.booth_id} />
          {isAdmin ? null : <p className="panel-foot">{words.adminOnly}</p>}
        </>
      )}
    </ListPanel>
  );
}

function columnsOf(zone: string, onAsk: ((booth: BoothListed) => void) | null): ColumnDef<BoothListed>[] {
  const columns: ColumnDef<BoothListed>[] = [
    {
      id: "booth",
      header: words.booth,
      accessorFn: (booth) => booth.name ?? booth.booth_id,
      cell: ({ row: { original: booth } }) => (
        <span>
          <Link to={`/activity?booth=${encodeURIComponent(booth.booth_id)}`}>{booth.name ?? booth.booth_id}</Link>
          {booth.name ? <span className="muted"> {booth.booth_id}</span> : null}
        </span>
      ),
    },
    {
      id: "status",
      header: words.status,
      accessorFn: (booth) => (booth.paused ? 1 : 0),
      cell: ({ row }) =>
        row.original.paused ? (
          <Badge tone="warning" icon="pause">
            {words.paused}
          </Badge>
        ) : (
          <Badge tone="success" icon="check">
            {words.active}
          </Badge>
        ),
    },
    {
      id: "count",
      header: words.activities,
      accessorKey: "count",
      meta: { numeric: true },
      cell: ({ row }) => formatCount(row.original.count),
    },
    {
      id: "failed",
      header: words.failed,
      accessorKey: "failed",
      meta: { numeric: true },
      cell: ({ row }) => formatCount(row.original.failed),
    },
    {
      id: "spent",
      header: words.spent,
      accessorFn: (booth) => booth.amount.amount,
      sortingFn: (a, b) => compareMoney(a.original.amount, b.original.amount),
      meta: { numeric: true },
      cell: ({ row }) => <MoneyText money={row.original.amount} />,
    },
    {
      id: "last",
      header: words.last,
      accessorFn: (booth) => booth.last_activity_at ?? "",
      cell: ({ row }) =>
        row.original.last_activity_at ? (
          <Instant at={row.original.last_activity_at} zone={zone} show="quarter" />
        ) : (
          text.common.none
        ),
    },
  ];
  if (onAsk !== null) {
    columns.push({
      id: "action",
      header: words.action,
      enableSorting: false,
      meta: { numeric: true, control: true },
      cell: ({ row: { original: booth } }) => (
        <Button
          size="small"
          aria-label={`${booth.paused ? words.resume : words.pause} ${booth.name ?? booth.booth_id}`}
          onClick={() => onAsk(booth)}
        >
          {booth.paused ? words.resume : words.pause}
        </Button>
      ),
    });
  }
  return columns;
}
