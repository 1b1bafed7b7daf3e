import { useInfiniteQuery, useQueries } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo, useState } from "react";

import type { AccountListed, Money } from "@/api/types";
import { fleetAccountsQuery } from "@/api/queries/fleet";
import { presentBookQuery } from "@/api/queries/price-books";
import { Badge } from "@/components/Badge";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Icon } from "@/components/Icon";
import { ListPanel, ofPages } from "@/components/ListPanel";
import { MoneyText } from "@/components/MoneyText";
import { TextField } from "@/components/TextField";
import { useDebounced } from "@/components/useDebounced";
import { compareMoney, isNegative, isZero, zoneCity } from "@/format";
import { text } from "@/text";

import { AccountLink } from "./AccountLink";
import { currenciesOf, planNames, type PlanNames } from "./plan-names";

const { accounts: words } = text.fleet;

/** All accounts; a name leads to its dashboard. */
export function AccountsPanel() {
  const [q, setQ] = useState("");
  const query = useInfiniteQuery(fleetAccountsQuery(useDebounced(q.trim())));
  const currencies = useMemo(() => currenciesOf(query.data?.pages.flatMap((page) => page.data) ?? []), [query.data]);
  // Accounts are listed with their plans' codes; the book of their currency has the names.
  const names = useQueries({
    queries: currencies.map((currency) => presentBookQuery(currency)),
    combine: (books) => planNames(currencies, books.map(({ data }) => data ?? null)),
  });
  const columns = useMemo(() => columnsOf(names), [names]);
  return (
    <ListPanel
      title={words.title}
      query={query}
      rowsOf={ofPages<AccountListed>}
      lines={6}
      empty={<EmptyState icon="search" title={words.empty} />}
      actions={
        <div className="fleet-search">
          <TextField
            label={text.common.searchAccounts}
            hideLabel
            type="search"
            placeholder={text.common.searchAccounts}
            prefix={<Icon name="search" size={16} />}
            value={q}
            onChange={(event) => setQ(event.target.value)}
          />
        </div>
      }
    >
      {(rows) => <DataTable caption={words.caption} rows={rows} columns={columns} rowId={(row) => row.account_id} />}
    </ListPanel>
  );
}

const money = (id: "balance" | "available", header: string): ColumnDef<AccountListed> => ({
  id,
  header,
  accessorFn: (row) => row[id].amount,
  sortingFn: (a, b) => compareMoney(a.original[id], b.original[id]),
  meta: { numeric: true },
  cell: ({ row }) => <MoneyText money={row.original[id]} />,
});

const zoneOf = ({ time_zone: zone }: AccountListed): string => text.common.zone(zoneCity(zone));

const planOf = ({ currency, plan }: AccountListed, names: PlanNames): string => names.get(currency)?.get(plan) ?? plan;

const columnsOf = (names: PlanNames): ColumnDef<AccountListed>[] => [
  {
    id: "account",
    header: words.account,
    accessorKey: "name",
    cell: ({ row: { original: account } }) => (
      <AccountLink
        accountId={account.account_id}
        name={account.name}
        narrow={words.planAndZone(planOf(account, names), zoneOf(account))}
      />
    ),
  },
  {
    id: "plan",
    header: words.plan,
    accessorFn: (account) => planOf(account, names),
    meta: { roomy: true },
    cell: ({ row: { original: account }, getValue }) => <span className="nowrap" title={account.plan}>{getValue<string>()}</span>,
  },
  {
    id: "zone",
    header: words.zone,
    accessorFn: zoneOf,
    meta: { roomy: true },
    cell: ({ row: { original: account }, getValue }) => <span title={account.time_zone}>{getValue<string>()}</span>,
  },
  money("balance", words.balance),
  { ...money("available", words.available), cell: ({ row: { original: account } }) => <Available money={account.available} /> },
];

/** What work may still be done for; an account that has nothing left stands out, since its booths are refused. */
function Available({ money: available }: { money: Money }) {
  if (!isNegative(available) && !isZero(available)) return <MoneyText money={available} />;
  return (
    <span className="fleet-available">
      <Badge tone="danger" icon="alert">
        {words.none}
      </Badge>
      <MoneyText money={available} />
    </span>
  );
}
