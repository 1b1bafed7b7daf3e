import { useQueries, useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";

import { accountQuery } from "@/api/queries/account";
import { fleetUsageQuery } from "@/api/queries/usage";
import type { ResolvedPeriod } from "@/components/daterange/period";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { ListPanel } from "@/components/ListPanel";
import { text } from "@/text";

import { AccountLink } from "./AccountLink";
import { spendByKey, type Spend } from "./spend";
import { spendColumns } from "./spend-columns";

const { fleet } = text;
const TOP = 10;

interface Spender extends Spend {
  plan: string | null;
}

const COLUMNS: ColumnDef<Spender>[] = [
  {
    id: "account",
    header: fleet.accounts.account,
    accessorKey: "name",
    cell: ({ row: { original: spender } }) =>
      spender.key === null ? (
        fleet.spenders.others
      ) : (
        <AccountLink accountId={spender.key} name={spender.name} narrow={spender.plan} />
      ),
  },
  {
    id: "plan",
    header: fleet.accounts.plan,
    accessorFn: (row) => row.plan ?? text.common.none,
    meta: { roomy: true },
    cell: ({ getValue }) => <span className="nowrap">{getValue<string>()}</span>,
  },
  ...spendColumns<Spender>(),
];

/** The accounts that spent most, and all others together; a name leads to its dashboard. */
export function SpendersPanel({ range }: { range: ResolvedPeriod }) {
  const { from, to, tz } = range;
  const query = useQuery(fleetUsageQuery({ from, to, tz, bucket: "year", group_by: "account", top: TOP }));
  const spends = useMemo(() => (query.data === undefined ? [] : spendByKey(query.data)), [query.data]);
  // Sums know accounts by their ids alone.
  const facts = useQueries({
    queries: spends.map(({ key }) => ({ ...accountQuery(key ?? ""), enabled: key !== null })),
  });
  const rows = spends.map((spend, index): Spender => {
    const account = facts[index]?.data;
    return { ...spend, name: account?.name ?? spend.name, plan: account?.plan.name ?? null };
  });
  return (
    <ListPanel
      title={fleet.spenders.title}
      query={query}
      rowsOf={() => rows}
      lines={6}
      empty={<EmptyState icon="fleet" title={fleet.nothing} />}
    >
      {() => <DataTable caption={fleet.spenders.caption} rows={rows} columns={COLUMNS} rowId={(row) => row.key ?? "*"} />}
    </ListPanel>
  );
}
