import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";

import type { Repricing, RepricingAccount } from "@/api/contract";
import { accountsQuery } from "@/api/queries/accounts";
import type { Money } from "@/api/types";
import { DataTable } from "@/components/DataTable";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { compareMoney, formatCount } from "@/format";
import { AccountLink } from "@/pages/fleet/AccountLink";
import "@/pages/fleet/fleet.css";
import { text } from "@/text";

import { ACCOUNTS_MAX } from "./draft";

const { accounts: words, columns } = text.repricings;

/** What changes for each account, and what of it was posted. */
export function AccountsPanel({ repricing }: { repricing: Repricing }) {
  const named = useQuery(accountsQuery("", ACCOUNTS_MAX));
  const names = useMemo(
    () => new Map(named.data?.data.map(({ account_id, name }) => [account_id, name])),
    [named.data],
  );
  const isBegun = repricing.state !== "previewed";
  const shown = useMemo(() => columnsOf(names, isBegun), [names, isBegun]);
  return (
    <Panel title={words.title} flush>
      <DataTable
        caption={words.caption}
        rows={repricing.accounts.filter((account) => account.changes > 0)}
        columns={shown}
        rowId={(account) => account.account_id}
      />
    </Panel>
  );
}

type MoneyOf = "was" | "would_be" | "difference" | "posted";

const money = (id: MoneyOf, header: string, signed = false): ColumnDef<RepricingAccount> => ({
  id,
  header,
  accessorFn: (account) => account[id].amount,
  sortingFn: (a, b) => compareMoney(a.original[id], b.original[id]),
  meta: { numeric: true },
  cell: ({ row }) => <MoneyText money={row.original[id] satisfies Money} signed={signed} />,
});

const count = (id: "changes" | "applied" | "undone", header: string): ColumnDef<RepricingAccount> => ({
  id,
  header,
  accessorKey: id,
  meta: { numeric: true },
  cell: ({ row }) => formatCount(row.original[id]),
});

function columnsOf(names: ReadonlyMap<string, string>, isBegun: boolean): ColumnDef<RepricingAccount>[] {
  return [
    {
      id: "account",
      header: columns.account,
      accessorFn: ({ account_id }) => names.get(account_id) ?? account_id,
      cell: ({ row: { original: account } }) => (
        <AccountLink accountId={account.account_id} name={names.get(account.account_id) ?? account.account_id} />
      ),
    },
    count("changes", columns.charges),
    money("was", columns.was),
    money("would_be", columns.wouldBe),
    money("difference", columns.difference, true),
    ...(isBegun
      ? [count("applied", columns.applied), count("undone", columns.undone), money("posted", columns.posted, true)]
      : []),
  ];
}
