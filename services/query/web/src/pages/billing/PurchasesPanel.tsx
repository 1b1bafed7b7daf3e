import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { purchasesQuery } from "@/api/queries/transactions";
import type { Transaction } from "@/api/types";
import { EmptyState } from "@/components/EmptyState";
import { ListPanel, ofPages } from "@/components/ListPanel";
import { EntryDrawer } from "@/ledger/EntryDrawer";
import { LedgerTable } from "@/ledger/LedgerTable";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { purchases } = text.billing;

export function PurchasesPanel() {
  const { accountId, zone } = useAccount();
  const [openId, setOpenId] = useState<string | null>(null);
  const query = useInfiniteQuery(purchasesQuery(accountId));
  return (
    <ListPanel
      title={purchases.title}
      query={query}
      rowsOf={ofPages<Transaction>}
      lines={5}
      empty={
        <EmptyState icon="billing" title={purchases.empty}>
          {purchases.emptyText}
        </EmptyState>
      }
      after={
        openId === null ? null : (
          <EntryDrawer entryId={openId} zone={zone} onOpenEntry={setOpenId} onClose={() => setOpenId(null)} />
        )
      }
    >
      {(rows) => (
        <LedgerTable
          rows={rows}
          zone={zone}
          caption={purchases.caption}
          selectedId={openId}
          onOpen={(row) => setOpenId(row.entry_id)}
        />
      )}
    </ListPanel>
  );
}
