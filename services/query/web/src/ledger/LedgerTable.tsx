import { useEffect, useRef, useState, type KeyboardEvent } from "react";

import type { Transaction } from "@/api/types";

import { LedgerHead } from "./LedgerHead";
import { LedgerRow } from "./LedgerRow";
import "./ledger.css";
import { nextIndex } from "./row-keys";

export interface LedgerTableProps {
  rows: readonly Transaction[];
  zone: string;
  /** Read out as the table's name. */
  caption: string;
  selectedId?: string | null;
  subOf?: (row: Transaction) => string | undefined;
  onOpen?: (row: Transaction) => void;
}

/**
 * The six-column grid, newest first; two-line cards on a phone. Rows that arrive while it is shown light up once. Where
 * rows open, the table is one tab stop and arrows, j and k move in it.
 */
export function LedgerTable({ rows, zone, caption, selectedId, subOf, onOpen }: LedgerTableProps) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [activeId, setActiveId] = useState<string | null>(null);
  const newSince = useSeqBefore(rows);
  // Rows move down as new ones arrive; the tab stop stays with its row.
  const active = Math.max(
    0,
    rows.findIndex((row) => row.entry_id === activeId),
  );

  const onKey = (event: KeyboardEvent) => {
    const row = rows[active];
    if (onOpen === undefined || row === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      onOpen(row);
      return;
    }
    const next = nextIndex(event.key, active, rows.length);
    const target = next === null ? undefined : rows[next];
    if (target === undefined) return;
    event.preventDefault();
    setActiveId(target.entry_id);
    body.current?.querySelector<HTMLElement>(`tr[data-seq="${String(target.seq)}"]`)?.focus();
  };

  return (
    <table className="ledger" role={onOpen === undefined ? "table" : "grid"} onKeyDown={onKey}>
      <caption className="visually-hidden">{caption}</caption>
      <LedgerHead />
      <tbody role="rowgroup" ref={body}>
        {rows.map((row, index) => (
          <LedgerRow
            key={row.entry_id}
            row={row}
            zone={zone}
            sub={subOf?.(row)}
            fresh={newSince !== null && row.seq > newSince}
            selected={selectedId === row.entry_id}
            tabIndex={onOpen === undefined ? undefined : index === active ? 0 : -1}
            onOpen={onOpen}
          />
        ))}
      </tbody>
    </table>
  );
}

/** The newest `seq` of the rows that were shown before; null at first. */
function useSeqBefore(rows: readonly Transaction[]): number | null {
  const shown = useRef<{ rows: readonly Transaction[]; before: number | null }>({ rows, before: null });
  const [before, setBefore] = useState<number | null>(null);
  useEffect(() => {
    const last = shown.current;
    if (last.rows === rows) return;
    shown.current = { rows, before: last.rows[0]?.seq ?? 0 };
    setBefore(shown.current.before);
  }, [rows]);
  return before;
}
