import { useState } from "react";
import { Link } from "react-router";

import type { EventListed, Transaction } from "@/api/types";
import { buttonClass } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { EntryDrawer } from "@/ledger/EntryDrawer";
import { LedgerTable } from "@/ledger/LedgerTable";
import { LiveToggle } from "@/live/LiveToggle";
import { usePausable } from "@/live/usePausable";
import { useRecent } from "@/live/useRecent";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { activityOf } from "./links";

const { ledger } = text.events;
const ROWS = 25;
const NONE: readonly Transaction[] = [];

/** The event's charges as they happen, each with the account's balance right after it; can be held still. */
export function EventLedger({ event }: { readonly event: EventListed }) {
  const { accountId } = useAccount();
  const query = useRecent(accountId, event.event_id);
  const { rows, paused, waiting, toggle } = usePausable(query.data?.rows ?? NONE, (row) => row.seq);
  const [openId, setOpenId] = useState<string | null>(null);
  return (
    <Panel
      title={ledger.title}
      note={ledger.note}
      flush
      actions={
        <>
          <LiveToggle paused={paused} waiting={waiting} onToggle={toggle} />
          <Link to={activityOf(event.event_id)} className={buttonClass("plain", "small")}>
            {ledger.all}
          </Link>
        </>
      }
    >
      <QueryState query={query} skeleton={<Skeleton height="2.2rem" lines={8} />}>
        {() =>
          rows.length === 0 ? (
            <EmptyState icon="activity" title={ledger.empty}>
              {ledger.emptyText}
            </EmptyState>
          ) : (
            <LedgerTable
              rows={rows.slice(0, ROWS)}
              zone={event.time_zone}
              caption={ledger.caption}
              selectedId={openId}
              onOpen={(row) => {
                setOpenId(row.entry_id);
              }}
            />
          )
        }
      </QueryState>
      {openId !== null && (
        <EntryDrawer
          entryId={openId}
          zone={event.time_zone}
          onOpenEntry={setOpenId}
          onClose={() => {
            setOpenId(null);
          }}
        />
      )}
    </Panel>
  );
}
