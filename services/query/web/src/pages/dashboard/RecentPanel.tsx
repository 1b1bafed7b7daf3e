import { useState } from "react";
import { Link } from "react-router";

import type { Transaction } from "@/api/types";
import { Badge } from "@/components/Badge";
import { buttonClass } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatCount, isLate } from "@/format";
import { EntryDrawer } from "@/ledger/EntryDrawer";
import { LedgerTable } from "@/ledger/LedgerTable";
import { useEventNames } from "@/ledger/useEventNames";
import { LiveToggle } from "@/live/LiveToggle";
import { usePausable } from "@/live/usePausable";
import { useRecent } from "@/live/useRecent";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { recent } = text.dashboard;
const ROWS = 20;
const NONE: readonly Transaction[] = [];

/** Every transaction across all events, the newest first, as they happen. */
export function RecentPanel() {
  const { accountId, zone } = useAccount();
  const query = useRecent(accountId);
  const { rows, paused, waiting, toggle } = usePausable(query.data?.rows ?? NONE, (row) => row.seq);
  const late = rows.slice(0, ROWS).filter((row) => row.type === "consume" && isLate(row.occurred_at, row.posted_at)).length;
  const eventName = useEventNames();
  const [openId, setOpenId] = useState<string | null>(null);
  return (
    <Panel
      title={recent.title}
      note={
        late === 0 ? undefined : (
          <Badge tone="warning" icon="clock" title={text.activity.lateTitle}>
            {text.activity.late(formatCount(late))}
          </Badge>
        )
      }
      flush
      actions={
        <>
          <LiveToggle paused={paused} waiting={waiting} onToggle={toggle} />
          <Link to="/activity" className={buttonClass("plain", "small")}>
            {recent.all}
          </Link>
        </>
      }
    >
      <QueryState query={query} skeleton={<div className="list-skeleton"><Skeleton height="2.2rem" lines={8} /></div>}>
        {() =>
          rows.length === 0 ? (
            <EmptyState icon="activity" title={recent.empty}>
              {recent.emptyText}
            </EmptyState>
          ) : (
            <LedgerTable
              rows={rows.slice(0, ROWS)}
              zone={zone}
              caption={recent.caption}
              selectedId={openId}
              subOf={(row) => (row.event_id ? eventName(row.event_id) : undefined)}
              onOpen={(row) => setOpenId(row.entry_id)}
            />
          )
        }
      </QueryState>
      {openId === null ? null : (
        <EntryDrawer entryId={openId} zone={zone} onOpenEntry={setOpenId} onClose={() => setOpenId(null)} />
      )}
    </Panel>
  );
}
