import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { transactionsQuery } from "@/api/queries/transactions";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { EntryDrawer } from "@/ledger/EntryDrawer";
import { LedgerTable } from "@/ledger/LedgerTable";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { purchases } = text.billing;

export function PurchasesPanel() {
  const { accountId, zone } = useAccount();
  const [openId, setOpenId] = useState<string | null>(null);
  const query = useInfiniteQuery(
    transactionsQuery(accountId, {
      type: ["purchase", "auto_recharge", "bonus", "bonus_expiry", "adjustment", "plan_fee"],
      limit: 25,
    }),
  );
  return (
    <Panel title={purchases.title} flush>
      <QueryState
        query={query}
        skeleton={
          <div className="ledger-skeleton">
            <Skeleton height="2.2rem" lines={5} />
          </div>
        }
      >
        {(data) => {
          const rows = data.pages.flatMap((page) => page.data);
          if (rows.length === 0) {
            return (
              <EmptyState icon="billing" title={purchases.empty}>
                {purchases.emptyText}
              </EmptyState>
            );
          }
          return (
            <LedgerTable
              rows={rows}
              zone={zone}
              caption={purchases.caption}
              selectedId={openId}
              onOpen={(row) => setOpenId(row.entry_id)}
            />
          );
        }}
      </QueryState>
      {query.hasNextPage ? (
        <p className="list-more">
          <Button size="small" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {text.common.loadMore}
          </Button>
        </p>
      ) : null}
      {openId === null ? null : (
        <EntryDrawer entryId={openId} zone={zone} onOpenEntry={setOpenId} onClose={() => setOpenId(null)} />
      )}
    </Panel>
  );
}
