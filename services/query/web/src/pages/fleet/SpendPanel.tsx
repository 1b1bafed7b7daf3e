import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import type { ReactNode } from "react";

import { fleetUsageQuery } from "@/api/queries/usage";
import type { FleetUsage } from "@/api/types";
import type { ResolvedPeriod } from "@/components/daterange/period";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { ListPanel } from "@/components/ListPanel";
import { MoneyText } from "@/components/MoneyText";
import { formatCount } from "@/format";
import { text } from "@/text";

import { spendByKey, type Spend } from "./spend";
import { spendColumns } from "./spend-columns";

const { fleet } = text;
const ENGINES_MAX = 50;
const COLUMNS: ColumnDef<Spend>[] = [
  { id: "engine", header: fleet.columns.engine, accessorKey: "name" },
  ...spendColumns<Spend>(),
];

/** What all accounts spent, by engine, with cost and margin. */
export function SpendPanel({ range }: { range: ResolvedPeriod }) {
  const { from, to, tz } = range;
  const query = useQuery(fleetUsageQuery({ from, to, tz, bucket: "year", group_by: "engine", top: ENGINES_MAX }));
  return (
    <ListPanel
      title={fleet.spendTitle}
      query={query}
      rowsOf={spendByKey}
      lines={6}
      empty={<EmptyState icon="activity" title={fleet.nothing} />}
    >
      {(rows, { total }) => (
        <>
          <Totals total={total} />
          <DataTable caption={fleet.spendCaption} rows={rows} columns={COLUMNS} rowId={(row) => row.key ?? "*"} />
        </>
      )}
    </ListPanel>
  );
}

function Totals({ total }: { total: FleetUsage["total"] }) {
  return (
    <dl className="fleet-figures">
      <Figure label={fleet.figures.spent}>
        <MoneyText money={total.amount} />
      </Figure>
      {total.provider_cost === undefined ? null : (
        <Figure label={fleet.figures.cost}>
          <MoneyText money={total.provider_cost} />
        </Figure>
      )}
      {total.margin === undefined ? null : (
        <Figure label={fleet.figures.margin}>
          <MoneyText money={total.margin} />
        </Figure>
      )}
      <Figure label={fleet.figures.activities}>{formatCount(total.count)}</Figure>
      <Figure label={fleet.figures.failed}>{formatCount(total.failures)}</Figure>
    </dl>
  );
}

function Figure({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt className="muted small">{label}</dt>
      <dd className="fleet-figure tabular">{children}</dd>
    </div>
  );
}
