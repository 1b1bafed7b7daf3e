import {
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  useReactTable,
  type Column,
  type ColumnDef,
  type ColumnMeta,
  type RowData,
  type SortingState,
  type Table,
} from "@tanstack/react-table";
import { useState } from "react";

import { text } from "@/text";

import "./data-table.css";
import { Icon } from "./Icon";
import { Select } from "./Select";

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  interface ColumnMeta<TData extends RowData, TValue> {
    /** Numbers stand right. */
    numeric?: boolean;
    /** Only where there is room; narrower, another column says it, or what the row opens. */
    roomy?: boolean;
    /** What is done with a row: a button says for itself what it is. */
    control?: boolean;
  }
}

const classOf = ({ numeric, roomy, control }: ColumnMeta<unknown, unknown> = {}): string | undefined =>
  [numeric && "num", roomy && "data-roomy", control && "data-control"].filter(Boolean).join(" ") || undefined;

export interface DataTableProps<T> {
  caption: string;
  rows: readonly T[];
  columns: ColumnDef<T>[];
  rowId: (row: T) => string;
  sort?: SortingState;
}

/** Fewer rows than this are looked through without being sorted. */
const SORTED_ROWS_MIN = 4;

/** A plain table whose columns can be sorted, on a phone a card a row; for lists that are there as a whole. */
export function DataTable<T>({ caption, rows, columns, rowId, sort = [] }: DataTableProps<T>) {
  const [sorting, setSorting] = useState<SortingState>(sort);
  const table = useReactTable({
    data: rows as T[],
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getRowId: rowId,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
  });
  return (
    <div className="data-scroll" role="region" aria-label={caption} tabIndex={0}>
      {rows.length < SORTED_ROWS_MIN ? null : <SortChoice table={table} />}
      <table className="data data-cards">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                const label = flexRender(header.column.columnDef.header, header.getContext());
                return (
                  <th
                    key={header.id}
                    scope="col"
                    className={classOf(header.column.columnDef.meta)}
                    aria-sort={sorted === false ? undefined : sorted === "asc" ? "ascending" : "descending"}
                  >
                    {header.column.getCanSort() ? (
                      <button type="button" className="data-sort" onClick={header.column.getToggleSortingHandler()}>
                        {label}
                        <Icon name="chevron" size={12} />
                      </button>
                    ) : (
                      label
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id}>
              {row.getVisibleCells().map((cell) => (
                <td key={cell.id} className={classOf(cell.column.columnDef.meta)} data-label={labelOf(cell.column)}>
                  {flexRender(cell.column.columnDef.cell, cell.getContext())}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}


function labelOf<T>({ columnDef: { header } }: Column<T>): string {
  return typeof header === "string" ? header : "";
}

/** Cards have no headers to sort by. */
function SortChoice<T>({ table }: { table: Table<T> }) {
  const [sorted] = table.getState().sorting;
  const { none, label, ascending, descending } = text.common.sort;
  const options = table
    .getAllLeafColumns()
    .filter((column) => column.getCanSort())
    .flatMap((column) => [
      { value: `${column.id} asc`, label: ascending(labelOf(column)) },
      { value: `${column.id} desc`, label: descending(labelOf(column)) },
    ]);
  return (
    <div className="data-sort-choice">
      <Select
        label={label}
        value={sorted === undefined ? "" : `${sorted.id} ${sorted.desc ? "desc" : "asc"}`}
        onChange={(value) => {
          const [id = "", direction] = value.split(" ");
          table.setSorting(id === "" ? [] : [{ id, desc: direction === "desc" }]);
        }}
        options={[{ value: "", label: none }, ...options]}
      />
    </div>
  );
}
