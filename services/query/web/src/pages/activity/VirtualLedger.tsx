import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";

import type { Transaction } from "@/api/types";
import { LedgerHead } from "@/ledger/LedgerHead";
import { LedgerRow } from "@/ledger/LedgerRow";
import { nextIndex } from "@/ledger/row-keys";
import { useEventNames } from "@/ledger/useEventNames";
import "@/ledger/ledger.css";
import { text } from "@/text";

const ROW_PX = 45;
const CARD_PX = 68;
/** What sticks at the top and must not cover the row that has the focus. */
const HEAD_PX = 96;
const PHONE = "(max-width: 46rem)";

interface Props {
  rows: readonly Transaction[];
  zone: string;
  openId: string | null;
  onOpen: (entryId: string) => void;
}

/** The six-column grid for lists of any length: only rows near the window are in the page. */
export function VirtualLedger({ rows, zone, openId, onOpen }: Props) {
  const table = useRef<HTMLTableElement>(null);
  const [active, setActive] = useState(0);
  const [top, setTop] = useState(0);
  const wanted = useRef<number | null>(null);
  const rowPx = useRowHeight();
  const eventName = useEventNames();

  useLayoutEffect(() => {
    const box = table.current?.getBoundingClientRect();
    if (box !== undefined) setTop(box.top + window.scrollY);
  }, [rows.length === 0]); // eslint-disable-line react-hooks/exhaustive-deps

  const virtualizer = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => rowPx,
    overscan: 12,
    scrollMargin: top,
    scrollPaddingStart: HEAD_PX,
    getItemKey: (index) => rows[index]?.entry_id ?? index,
  });
  useEffect(() => virtualizer.measure(), [rowPx, virtualizer]);

  const open = useCallback((row: Transaction) => onOpen(row.entry_id), [onOpen]);
  const items = virtualizer.getVirtualItems();

  // The row that the keys moved to gets the focus once it is in the page.
  useEffect(() => {
    if (wanted.current === null) return;
    const row = rows[wanted.current];
    const element = row && table.current?.querySelector<HTMLElement>(`tr[data-seq="${row.seq}"]`);
    if (element) {
      wanted.current = null;
      element.focus({ preventScroll: true });
      // Heeds what sticks at the top.
      element.scrollIntoView({ block: "nearest" });
    }
  });

  const onKey = (event: KeyboardEvent) => {
    const row = rows[active];
    if (event.key === "Enter" && row !== undefined) {
      event.preventDefault();
      open(row);
      return;
    }
    const next = nextIndex(event.key, active, rows.length);
    if (next === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    wanted.current = next;
    setActive(next);
    const isDrawn = items.some((item) => item.index === next);
    if (!isDrawn) virtualizer.scrollToIndex(next, { align: "auto" });
  };
  useListKeys(table, (index) => {
    wanted.current = index;
    setActive(index);
  });

  const first = items[0];
  const last = items[items.length - 1];
  const before = first === undefined ? 0 : first.start - top;
  const after = last === undefined ? 0 : virtualizer.getTotalSize() - (last.end - top);
  return (
    <table ref={table} className="ledger activity-list" role="grid" aria-rowcount={-1} onKeyDown={onKey}>
      <caption className="visually-hidden">{text.activity.caption}</caption>
      <LedgerHead />
      <tbody role="rowgroup">
        <Spacer height={before} />
        {items.map((item) => {
          const row = rows[item.index];
          return row === undefined ? null : (
            <LedgerRow
              key={item.key}
              row={row}
              zone={zone}
              sub={row.event_id ? eventName(row.event_id) : undefined}
              selected={openId === row.entry_id}
              tabIndex={item.index === Math.min(active, rows.length - 1) ? 0 : -1}
              onOpen={open}
            />
          );
        })}
        <Spacer height={after} />
      </tbody>
    </table>
  );
}

function Spacer({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tr className="ledger-spacer" role="presentation">
      <td colSpan={6} style={{ height }} role="presentation" />
    </tr>
  );
}

function useRowHeight(): number {
  const [phone, setPhone] = useState(() => matchMedia(PHONE).matches);
  useEffect(() => {
    const query = matchMedia(PHONE);
    const onChange = () => setPhone(query.matches);
    query.addEventListener("change", onChange);
    return () => query.removeEventListener("change", onChange);
  }, []);
  return phone ? CARD_PX : ROW_PX;
}

/** j or k begins at the first row, wherever the focus is, unless somebody types. */
function useListKeys(table: React.RefObject<HTMLTableElement | null>, enter: (index: number) => void) {
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "j" && event.key !== "k") return;
      const target = event.target;
      if (!(target instanceof HTMLElement) || target.closest("input, select, textarea, dialog, table") !== null) return;
      if (event.ctrlKey || event.metaKey || event.altKey || table.current === null) return;
      event.preventDefault();
      const row = table.current.querySelector<HTMLElement>('tr[tabindex="0"]') ?? null;
      if (row !== null) row.focus();
      else enter(0);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [table, enter]);
}
