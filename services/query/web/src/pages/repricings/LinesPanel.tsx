import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { Link } from "react-router";

import type { RepricingPreview } from "@/api/contract";
import { servicesQuery } from "@/api/queries/prices";
import { Button, buttonClass } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { compareMoney, formatCount } from "@/format";
import { text } from "@/text";

import { linesOf, type AccountLine } from "./lines";

const { lines: words, columns, leftOut } = text.repricings;
/** A preview may have ten thousand. */
const STEP = 100;

/** What changes, by account, event and engine. */
export function LinesPanel({ preview, again }: { preview: RepricingPreview | undefined; again: string }) {
  return (
    <Panel title={words.title} flush>
      {preview === undefined ? (
        <EmptyState
          title={words.gone}
          actions={
            <Link to={again} className={buttonClass("plain", "small")}>
              {words.again}
            </Link>
          }
        >
          {words.goneText}
        </EmptyState>
      ) : (
        <Lines preview={preview} />
      )}
    </Panel>
  );
}

function Lines({ preview }: { preview: RepricingPreview }) {
  const services = useQuery(servicesQuery);
  const [shownMax, setShownMax] = useState(STEP);
  const rows = useMemo(() => linesOf(preview), [preview]);
  const names = useMemo(
    () => new Map(services.data?.data.map(({ service, engine, name }) => [`${service}/${engine}`, name])),
    [services.data],
  );
  const isOne = preview.accounts.length === 1;
  const shown = useMemo(() => columnsOf(names, isOne), [names, isOne]);
  const left = rows.length - shownMax;
  return (
    <>
      <DataTable caption={words.caption} rows={rows.slice(0, shownMax)} columns={shown} rowId={(line) => line.key} />
      {left > 0 ? (
        <p className="list-more">
          <Button size="small" onClick={() => setShownMax(shownMax + STEP)}>
            {words.more(formatCount(left))}
          </Button>
        </p>
      ) : null}
    </>
  );
}

const money = (id: "was" | "would_be" | "difference", header: string): ColumnDef<AccountLine> => ({
  id,
  header,
  accessorFn: (line) => line[id].amount,
  sortingFn: (a, b) => compareMoney(a.original[id], b.original[id]),
  meta: { numeric: true },
  cell: ({ row }) => <MoneyText money={row.original[id]} signed={id === "difference"} />,
});

function columnsOf(names: ReadonlyMap<string, string>, isOne: boolean): ColumnDef<AccountLine>[] {
  const account: ColumnDef<AccountLine> = { id: "account", header: columns.account, accessorKey: "account_id" };
  const nameOf = ({ service, engine }: AccountLine): string => names.get(`${service}/${engine}`) ?? `${service} (${engine})`;
  return [
    ...(isOne ? [] : [account]),
    { id: "event", header: columns.event, accessorFn: (line) => line.event_id ?? words.noEvent },
    {
      id: "engine",
      header: columns.engine,
      accessorFn: nameOf,
      cell: ({ row }) => <span className="repricing-service">{nameOf(row.original)}</span>,
    },
    {
      id: "changes",
      header: columns.charges,
      accessorKey: "changes",
      meta: { numeric: true },
      cell: ({ row }) => formatCount(row.original.changes),
    },
    money("was", columns.was),
    money("would_be", columns.wouldBe),
    money("difference", columns.difference),
    {
      id: "left_out",
      header: columns.leftOut,
      accessorFn: (line) => Object.values(line.left_out).reduce((sum, count) => sum + count, 0),
      cell: ({ row }) => leftOutText(row.original.left_out),
    },
  ];
}

function leftOutText(counts: Readonly<Record<string, number>>): string {
  const said = Object.entries(counts).map(([reason, count]) => `${formatCount(count)} ${leftOut[reason]?.label ?? reason}`);
  return said.length === 0 ? text.common.none : said.join(", ");
}
