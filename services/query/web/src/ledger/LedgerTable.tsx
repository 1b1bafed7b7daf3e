import { useEffect, useRef } from "react";

import type { Transaction } from "@/api/types";

import { LedgerHead } from "./LedgerHead";
import { LedgerRow } from "./LedgerRow";
import "./ledger.css";

export interface LedgerTableProps {
  rows: readonly Transaction[];
  zone: string;
  /** Read out as the table's name. */
  caption: string;
  selectedId?: string | null;
  subOf?: (row: Transaction) => string | undefined;
  onOpen?: (row: Transaction) => void;
}

/** The six-column grid, newest first; two-line cards on a phone. Rows that arrive while it is shown light up once. */
export function LedgerTable({ rows, zone, caption, selectedId, subOf, onOpen }: LedgerTableProps) {
  const shownSeq = useRef<number | null>(null);
  const newSince = shownSeq.current;
  useEffect(() => {
    shownSeq.current = rows[0]?.seq ?? 0;
  }, [rows]);
  return (
    <table className="ledger" role="table">
      <caption className="visually-hidden">{caption}</caption>
      <LedgerHead />
      <tbody role="rowgroup">
        {rows.map((row) => (
          <LedgerRow
            key={row.entry_id}
            row={row}
            zone={zone}
            sub={subOf?.(row)}
            fresh={newSince !== null && row.seq > newSince}
            selected={selectedId === row.entry_id}
            tabIndex={onOpen === undefined ? undefined : 0}
            onOpen={onOpen}
          />
        ))}
      </tbody>
    </table>
  );
}
