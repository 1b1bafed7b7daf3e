import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keepWithin } from "../keep";
import { keys } from "../keys";
import type { paths } from "../schema";

export type TransactionsQuery = Omit<
  NonNullable<paths["/v1/accounts/{account_id}/transactions"]["get"]["parameters"]["query"]>,
  "cursor" | "min_seq"
>;

const MOVEMENTS = ["purchase", "auto_recharge", "bonus", "bonus_expiry", "adjustment", "plan_fee"] as const;

/** Every movement of credit that is no work, newest first; read again when one arrives. */
export const purchasesQuery = (accountId: string) => ({
  ...transactionsQuery(accountId, { type: [...MOVEMENTS], limit: 25 }),
  queryKey: keys.purchases(accountId),
});

/** A list page by page: the cursor holds the place, so that rows which arrive meanwhile neither shift nor repeat any. */
export const transactionsQuery = (accountId: string, query: TransactionsQuery) =>
  infiniteQueryOptions({
    queryKey: keys.transactions(accountId, query),
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/transactions", {
          params: {
            path: { account_id: accountId },
            query: pageParam === null ? query : { ...query, cursor: pageParam },
          },
          signal,
        }),
      ),
    getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? null) : null),
    placeholderData: keepWithin(accountId),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const transactionQuery = (accountId: string, entryId: string) =>
  queryOptions({
    queryKey: keys.transaction(accountId, entryId),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/transactions/{entry_id}", {
          params: { path: { account_id: accountId, entry_id: entryId } },
          signal,
        }),
      ),
    // An entry never changes.
    staleTime: Number.POSITIVE_INFINITY,
  });
