import { EmptyState } from "@/components/EmptyState";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { zoneCity } from "@/format";
import { LedgerTable } from "@/ledger/LedgerTable";
import { useRecent } from "@/live/useRecent";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { EmbedHead } from "./EmbedHead";

const ROWS = 20;
const { recent } = text.dashboard;

export function EmbedActivity({ eventId }: { eventId: string | null }) {
  const { accountId, zone } = useAccount();
  const query = useRecent(accountId, eventId, ROWS);
  return (
    <QueryState query={query} skeleton={<Skeleton height="2.2rem" lines={8} />}>
      {({ rows }) =>
        rows.length === 0 ? (
          <EmptyState icon="activity" title={recent.empty} />
        ) : (
          <>
            <EmbedHead title={text.embed.head.activity} note={text.common.zone(zoneCity(zone))} />
            <LedgerTable rows={rows.slice(0, ROWS)} zone={zone} caption={recent.caption} />
          </>
        )
      }
    </QueryState>
  );
}
