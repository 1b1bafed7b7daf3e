import { useInfiniteQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo, useState } from "react";

import type { DeadLetter } from "@/api/types";
import { deadLettersQuery, type Reason } from "@/api/queries/fleet";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Instant } from "@/components/Instant";
import { ListPanel, ofPages } from "@/components/ListPanel";
import { Select } from "@/components/Select";
import { text } from "@/text";

import { DismissDialog, type Dismissed } from "./DismissDialog";
import { LetterDrawer } from "./LetterDrawer";
import { LetterState } from "./LetterState";
import { RedriveAll } from "./RedriveAll";

const { deadLetters: words } = text.fleet;
const ZONE = "UTC";
const REASONS: readonly Reason[] = [
  "malformed",
  "wrong_partition",
  "unknown_account",
  "no_price",
  "engine_retired",
  "unit_mismatch",
  "too_old",
  "in_future",
  "out_of_range",
  "conflict",
  "failed_after_charge",
  "internal",
];

/** What was received and could not be charged, with the record itself. */
export function DeadLettersPanel() {
  const [reason, setReason] = useState<Reason | "">("");
  const [open, setOpen] = useState<DeadLetter | null>(null);
  const query = useInfiniteQuery(deadLettersQuery(reason));
  const [driving, setDriving] = useState(false);
  const [dismissed, setDismissed] = useState<Dismissed | null>(null);
  const columns = useMemo(() => columnsOf(setOpen), []);
  // A service that cannot drive letters again does not say how they stand.
  const canDrive = query.data?.pages.some((page) => page.data.some((letter: DeadLetter) => letter.state === "open")) ?? false;
  return (
    <ListPanel
      title={words.title}
      note={ZONE}
      query={query}
      rowsOf={ofPages<DeadLetter>}
      lines={3}
      empty={
        <EmptyState icon="check" title={words.empty} compact>
          {words.emptyText}
        </EmptyState>
      }
      actions={
        <>
          {canDrive && reason !== "" ? (
            <>
              <Button size="small" onClick={() => setDriving(true)}>
                {words.againAll(reason.replaceAll("_", " "))}
              </Button>
              <Button size="small" onClick={() => setDismissed({ reason })}>
                {words.dismissAll(reason.replaceAll("_", " "))}
              </Button>
            </>
          ) : null}
          <Select
            label={words.reason}
            hideLabel
            value={reason}
            onChange={(value) => setReason(REASONS.find((one) => one === value) ?? "")}
            options={[
              { value: "", label: words.anyReason },
              ...REASONS.map((value) => ({ value, label: value.replaceAll("_", " ") })),
            ]}
          />
        </>
      }
      after={
        <>
          {open === null ? null : (
            <LetterDrawer
              letter={open}
              onDismiss={() => {
                setOpen(null);
                setDismissed({ id: open.id });
              }}
              onClose={() => setOpen(null)}
            />
          )}
          {dismissed === null ? null : <DismissDialog dismissed={dismissed} onClose={() => setDismissed(null)} />}
          {driving && reason !== "" ? <RedriveAll reason={reason} onClose={() => setDriving(false)} /> : null}
        </>
      }
    >
      {(rows) => <DataTable caption={words.caption} rows={rows} columns={columns} rowId={(row) => row.id} />}
    </ListPanel>
  );
}

function columnsOf(onShow: (letter: DeadLetter) => void): ColumnDef<DeadLetter>[] {
  return [
    { id: "at", header: words.at, accessorKey: "at", cell: ({ row }) => <Instant at={row.original.at} zone={ZONE} /> },
    {
      id: "reason",
      header: words.reason,
      accessorKey: "reason",
      cell: ({ row }) => (
        <Badge tone="danger" icon="alert">
          {row.original.reason.replaceAll("_", " ")}
        </Badge>
      ),
    },
    {
      id: "state",
      header: words.state,
      accessorFn: (row) => row.state ?? "",
      cell: ({ row }) => <LetterState letter={row.original} />,
    },
    { id: "step", header: words.step, accessorKey: "step", meta: { roomy: true } },
    { id: "key", header: words.account, accessorFn: (row) => row.key ?? text.common.none, meta: { roomy: true } },
    { id: "detail", header: words.detail, accessorKey: "detail", enableSorting: false },
    {
      id: "show",
      header: words.payload,
      enableSorting: false,
      meta: { control: true },
      cell: ({ row }) => (
        <Button size="small" onClick={() => onShow(row.original)}>
          {words.show}
        </Button>
      ),
    },
  ];
}
