import { useQuery } from "@tanstack/react-query";

import { transactionQuery } from "@/api/queries/transactions";
import { Dialog } from "@/components/Dialog";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import "./detail.css";
import { EntryChain } from "./EntryChain";
import { EntryFacts } from "./EntryFacts";
import { EntrySum } from "./EntrySum";

export interface EntryDrawerProps {
  entryId: string;
  zone: string;
  onOpenEntry: (entryId: string) => void;
  onClose: () => void;
}

/** Why an entry's amount is what it is, where it came from, and what corrected it. */
export function EntryDrawer({ entryId, zone, onOpenEntry, onClose }: EntryDrawerProps) {
  const { accountId } = useAccount();
  const query = useQuery(transactionQuery(accountId, entryId));
  return (
    <Dialog kind="drawer" title={text.activity.detail.title} onClose={onClose}>
      <QueryState query={query} skeleton={<Skeleton height="6rem" lines={4} />}>
        {(entry) => (
          <div className="page">
            <EntrySum entry={entry} />
            <EntryChain entry={entry} zone={zone} onOpen={onOpenEntry} />
            <EntryFacts entry={entry} zone={zone} />
          </div>
        )}
      </QueryState>
    </Dialog>
  );
}
