import { memo } from "react";

import type { Transaction } from "@/api/types";
import { MoneyText } from "@/components/MoneyText";
import { formatDate, formatTime, isNegative, isZero, utcTitle } from "@/format";

import { LateBadge } from "./LateBadge";
import { StatusBadge } from "./StatusBadge";
import { serviceText, typeText } from "./describe";

export interface LedgerRowProps {
  row: Transaction;
  zone: string;
  /** A second, quieter name: the event. */
  sub?: string | undefined;
  fresh?: boolean;
  selected?: boolean;
  tabIndex?: 0 | -1 | undefined;
  onOpen?: ((row: Transaction) => void) | undefined;
}

function LedgerRowPlain({ row, zone, sub, fresh, selected, tabIndex, onOpen }: LedgerRowProps) {
  const cell = onOpen === undefined ? "cell" : "gridcell";
  const added = !isNegative(row.amount) && !isZero(row.amount);
  const classes = ["ledger-row", onOpen && "ledger-row-open", selected && "ledger-row-selected", fresh && "ledger-row-new"];
  return (
    <tr
      role="row"
      className={classes.filter(Boolean).join(" ")}
      data-seq={row.seq}
      tabIndex={tabIndex}
      aria-selected={onOpen === undefined ? undefined : (selected ?? false)}
      onClick={onOpen && (() => onOpen(row))}
    >
      <td role={cell} className="cell-date ledger-date">
        <time dateTime={row.occurred_at} title={utcTitle(row.occurred_at)}>
          {formatDate(row.occurred_at, zone)}
          <span className="ledger-date-time tabular">{formatTime(row.occurred_at, zone)}</span>
        </time>
      </td>
      <td role={cell} className="cell-service">
        <span className="ledger-service">
          <span className="ledger-service-name">{serviceText(row)}</span>
          <LateBadge row={row} />
          {sub === undefined ? null : <span className="ledger-service-sub">{sub}</span>}
        </span>
      </td>
      <td role={cell} className="cell-type">
        {typeText(row.type)}
      </td>
      <td role={cell} className="cell-status">
        <StatusBadge status={row.status} />
      </td>
      <td role={cell} className={`cell-amount num ${added ? "added" : ""}`}>
        <MoneyText money={row.amount} places="exact" signed />
      </td>
      <td role={cell} className="cell-balance num">
        <MoneyText money={row.balance_after} />
      </td>
    </tr>
  );
}

export const LedgerRow = memo(LedgerRowPlain);
