import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo, useState } from "react";

import { priceBookQuery, priceBooksQuery } from "@/api/queries/prices";
import type { PriceBookListed } from "@/api/types";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { Dialog } from "@/components/Dialog";
import { EmptyState } from "@/components/EmptyState";
import { Instant } from "@/components/Instant";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { PriceTable } from "@/pages/pricing/PriceTable";
import { text } from "@/text";

const { books: words } = text.fleet;
const ZONE = "UTC";

/** Every published price book, and what stands in it. */
export function BooksPanel() {
  const query = useQuery(priceBooksQuery);
  const [open, setOpen] = useState<number | null>(null);
  const columns = useMemo(() => columnsOf(setOpen), []);
  return (
    <Panel title={words.title} note={ZONE} flush>
      <QueryState query={query} skeleton={<Skeleton height="6rem" />}>
        {({ data }) =>
          data.length === 0 ? (
            <EmptyState icon="pricing" title={words.empty} />
          ) : (
            <DataTable caption={words.caption} rows={data} columns={columns} rowId={(book) => String(book.version)} />
          )
        }
      </QueryState>
      {open === null ? null : <Book version={open} onClose={() => setOpen(null)} />}
    </Panel>
  );
}

function Book({ version, onClose }: { version: number; onClose: () => void }) {
  const query = useQuery(priceBookQuery(version));
  return (
    <Dialog kind="drawer" wide title={words.open(String(version))} onClose={onClose}>
      <QueryState query={query} skeleton={<Skeleton height="2.2rem" lines={10} />}>
        {(book) => <PriceTable book={book} ownPlan={null} zone={ZONE} withRetired />}
      </QueryState>
    </Dialog>
  );
}

function stateOf(book: PriceBookListed): "current" | "next" | "past" {
  if (book.in_force) return "current";
  return Date.parse(book.effective_from) > Date.now() ? "next" : "past";
}

function columnsOf(onShow: (version: number) => void): ColumnDef<PriceBookListed>[] {
  return [
    { id: "version", header: words.version, accessorKey: "version" },
    {
      id: "state",
      header: words.state,
      accessorFn: stateOf,
      cell: ({ row }) => {
        const state = stateOf(row.original);
        return <Badge tone={state === "current" ? "success" : state === "next" ? "info" : "neutral"}>{words[state]}</Badge>;
      },
    },
    { id: "currency", header: words.currency, accessorKey: "currency" },
    {
      id: "from",
      header: words.from,
      accessorKey: "effective_from",
      cell: ({ row }) => <Instant at={row.original.effective_from} zone={ZONE} />,
    },
    {
      id: "to",
      header: words.to,
      accessorFn: (book) => book.effective_to ?? "",
      cell: ({ row }) =>
        row.original.effective_to ? <Instant at={row.original.effective_to} zone={ZONE} /> : text.common.none,
    },
    { id: "prices", header: words.rows, accessorKey: "prices", meta: { numeric: true } },
    {
      id: "show",
      header: words.show,
      enableSorting: false,
      meta: { numeric: true },
      cell: ({ row }) => (
        <Button size="small" aria-label={`${words.show} ${words.open(String(row.original.version))}`} onClick={() => onShow(row.original.version)}>
          {words.show}
        </Button>
      ),
    },
  ];
}
