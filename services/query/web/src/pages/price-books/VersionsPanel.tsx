import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { Link } from "react-router";

import { priceBooksQuery } from "@/api/queries/prices";
import type { PriceBookListed } from "@/api/types";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Instant } from "@/components/Instant";
import { ListPanel, ofPage } from "@/components/ListPanel";
import { text } from "@/text";

import { BookState, stateOf } from "./BookState";

const { priceBooks: words } = text;
const ZONE = "UTC";

/** Every published price book; a version leads to what stands in it. */
export function VersionsPanel() {
  const query = useQuery(priceBooksQuery);
  return (
    <ListPanel
      title={words.all}
      note={ZONE}
      query={query}
      rowsOf={ofPage<PriceBookListed>}
      lines={4}
      empty={<EmptyState icon="book" title={words.empty} />}
    >
      {(rows) => (
        <DataTable
          caption={words.caption}
          rows={rows}
          columns={COLUMNS}
          rowId={(book) => String(book.version)}
          sort={[{ id: "version", desc: true }]}
        />
      )}
    </ListPanel>
  );
}

const COLUMNS: ColumnDef<PriceBookListed>[] = [
  {
    id: "version",
    header: words.version,
    accessorKey: "version",
    cell: ({ row: { original: book } }) => (
      <Link to={`/price-books/${String(book.version)}`}>{words.open(String(book.version))}</Link>
    ),
  },
  {
    id: "state",
    header: words.state,
    accessorFn: stateOf,
    cell: ({ row }) => <BookState book={row.original} />,
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
];
