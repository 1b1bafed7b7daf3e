import { queryOptions, replaceEqualDeep } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { ProfileBody } from "../contract";
import type { Account, Balance } from "../types";
import { keys } from "../keys";

export const accountQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.facts(accountId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/accounts/{account_id}", { params: { path: { account_id: accountId } }, signal })),
    staleTime: 60_000,
  });

export interface ProfileChange {
  accountId: string;
  body: ProfileBody;
  idempotencyKey: string;
}

/** Names the account anew, or moves it; answers with it as it is from then on. */
export async function putProfile({ accountId, body, idempotencyKey }: ProfileChange): Promise<Account> {
  const path = { account_id: accountId };
  const { seq } = await unwrap(
    api.PUT("/v1/accounts/{account_id}/profile", {
      params: { path, header: { "Idempotency-Key": idempotencyKey } },
      body,
    }),
  );
  return unwrap(api.GET("/v1/accounts/{account_id}", { params: { path, query: { min_seq: seq } } }));
}

// An answer that was under way when a newer balance came must not put the old one back.
function newerBalance(old: unknown, next: unknown): unknown {
  const before = old as Balance | undefined;
  const after = next as Balance;
  return before !== undefined && before.seq > after.seq ? before : replaceEqualDeep(before, after);
}

/** The balance; the stream keeps it current (live/apply.ts). */
export const balanceQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.balance(accountId),
    queryFn: async ({ signal }): Promise<Balance> =>
      unwrap(api.GET("/v1/accounts/{account_id}/balance", { params: { path: { account_id: accountId } }, signal })),
    structuralSharing: newerBalance,
  });

/** The balance as of one entry, with its parts. No stream touches it: what it shows adds up. */
export const partsQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.parts(accountId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/accounts/{account_id}/balance", { params: { path: { account_id: accountId } }, signal })),
    structuralSharing: newerBalance,
  });

export interface RangeQuery {
  from?: string;
  to?: string;
  tz?: string;
}

export const summaryQuery = (accountId: string, query: RangeQuery) =>
  queryOptions({
    queryKey: keys.summary(accountId, query),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/summary", { params: { path: { account_id: accountId }, query }, signal }),
      ),
  });

/** How long the credits last, by what led to the balance beside it: history alone is a moment behind. */
export const forecastQuery = (accountId: string, eventId?: string) =>
  queryOptions({
    queryKey: keys.forecast(accountId, eventId),
    queryFn: ({ client, signal }) => {
      const seq = client.getQueryData<Balance>(keys.balance(accountId))?.seq;
      const query = { ...(eventId === undefined ? {} : { event_id: eventId }), ...(seq === undefined ? {} : { min_seq: seq }) };
      return unwrap(api.GET("/v1/accounts/{account_id}/forecast", { params: { path: { account_id: accountId }, query }, signal }));
    },
    staleTime: 30_000,
    refetchInterval: 60_000,
  });
