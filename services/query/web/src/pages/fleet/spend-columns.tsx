import type { ColumnDef } from "@tanstack/react-table";

import type { Money } from "@/api/types";
import { MoneyText } from "@/components/MoneyText";
import { compareMoney, formatCount, formatPerMille } from "@/format";
import { text } from "@/text";

import type { Spend } from "./spend";

const { columns: words } = text.fleet;

const count = <T extends Spend>(id: "count" | "failures", header: string): ColumnDef<T> => ({
  id,
  header,
  accessorFn: (row) => row[id],
  meta: { numeric: true },
  cell: ({ row }) => formatCount(row.original[id]),
});

function money<T extends Spend>(id: "amount" | "cost" | "margin", header: string): ColumnDef<T> {
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

const share = <T extends Spend>(): ColumnDef<T> => ({
  id: "share",
  header: words.share,
  accessorFn: (row) => row.share ?? 0,
  meta: { numeric: true },
  cell: ({ row: { original: spend } }) =>
    spend.share === null ? (
      text.common.none
    ) : (
      <>
        <span className="share-bar" aria-hidden="true">
          <span className="share-fill" style={{ width: `${String(spend.share / 10)}%` }} />
        </span>
        <span className="share-text">{formatPerMille(spend.share)}</span>
      </>
    ),
});

/** What was done and what it came to: the columns of every table of spend. */
export const spendColumns = <T extends Spend>(): ColumnDef<T>[] => [
  money("amount", words.spent),
  count("count", words.count),
  count("failures", words.failed),
  money("cost", words.cost),
  money("margin", words.margin),
  share(),
];
