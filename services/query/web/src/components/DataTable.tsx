import {
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  useReactTable,
  type ColumnDef,
  type RowData,
  type SortingState,
} from "@tanstack/react-table";
import { useState } from "react";

import "./data-table.css";
import { Icon } from "./Icon";

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  interface ColumnMeta<TData extends RowData, TValue> {
    /** Numbers stand right. */
    numeric?: boolean;
    /** Only where there is room; narrower, another column says it, or what the row opens. */
    roomy?: boolean;
  }
}

const classOf = ({ numeric, roomy }: { numeric?: boolean; roomy?: boolean } = {}): string | undefined =>
  [numeric && "num", roomy && "data-roomy"].filter(Boolean).join(" ") || undefined;

export interface DataTableProps<T> {
  caption: string;
  rows: readonly T[];
  columns: ColumnDef<T>[];
  rowId: (row: T) => string;
  sort?: SortingState;
}

/** A plain table whose columns can be sorted; for lists that are there as a whole. */
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
      <table className="data">
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
                <td key={cell.id} className={classOf(cell.column.columnDef.meta)}>
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

