import type { QueryClient } from "@tanstack/react-query";

import { keys } from "@/api/keys";
import type { Balance, Transaction } from "@/api/types";

import { mergeRows, topSeq } from "./merge";
import type { Ring } from "./ring";
import type { LiveBatch } from "./stream";

export const RECENT_ROWS_MAX = 200;

/** What a list of the newest rows is in the cache. */
export interface RecentRows {
  rows: readonly Transaction[];
  hasMore: boolean;
}

/** Puts what the stream brought into the caches; sums are read again by `Refresher`, not added up here. */
export function applyBatch(queryClient: QueryClient, accountId: string, ring: Ring, batch: LiveBatch): void {
  if (batch.resync !== null) {
    ring.resync(batch.resync.seq);
    void queryClient.invalidateQueries({ queryKey: keys.account(accountId) });
  }
  ring.push(batch.transactions);
  if (batch.ready !== null) {
    ring.begin(batch.ready.seq);
    rereadOlderThan(queryClient, accountId, batch.ready.seq);
  }
  const balance = batch.balance;
  if (balance !== null) {
    queryClient.setQueryData<Balance>(keys.balance(accountId), (old) =>
      old === undefined || old.seq > balance.seq ? old : { ...withoutParts(old, balance.seq), ...balance },
    );
  }
  if (batch.transactions.length > 0) addRows(queryClient, accountId, batch.transactions);
}

// Parts are those of one entry: beside a newer balance they would not add up. Who shows them asks for them.
function withoutParts(balance: Balance, seq: number): Balance {
  return balance.seq === seq ? balance : { ...balance, parts: null };
}

function addRows(queryClient: QueryClient, accountId: string, incoming: readonly Transaction[]): void {
  for (const query of recentQueries(queryClient, accountId)) {
    const eventId = query.queryKey[3];
    const wanted = typeof eventId === "string" ? incoming.filter((row) => row.event_id === eventId) : incoming;
    if (wanted.length === 0) continue;
    queryClient.setQueryData<RecentRows>(query.queryKey, (old) =>
      old === undefined ? old : { ...old, rows: mergeRows(old.rows, wanted, RECENT_ROWS_MAX) },
    );
  }
}

// The stream begins behind `seq`: a list that was read before it may lack what lies between.
function rereadOlderThan(queryClient: QueryClient, accountId: string, seq: number): void {
  for (const query of recentQueries(queryClient, accountId)) {
    const data = query.state.data as RecentRows | undefined;
    if (data === undefined ? query.state.fetchStatus === "fetching" : topSeq(data.rows) < seq) {
      void queryClient.invalidateQueries({ queryKey: query.queryKey, exact: true });
    }
  }
}

function recentQueries(queryClient: QueryClient, accountId: string) {
  return queryClient.getQueryCache().findAll({ queryKey: [...keys.account(accountId), "recent"] });
}
