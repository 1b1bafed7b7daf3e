import { infiniteQueryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { NewApiKey, NewApiKeyBody } from "../contract";
import { keys } from "../keys";

const PAGE = 50;

/** The keys of an account, newest first. */
export const apiKeysQuery = (accountId: string) =>
  infiniteQueryOptions({
    queryKey: keys.apiKeys(accountId),
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/keys", {
          params: {
            query: { account_id: accountId, limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) },
          },
          signal,
        }),
      ),
    getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? null) : null),
  });

export function createKey(body: NewApiKeyBody): Promise<NewApiKey> {
  return unwrap(api.POST("/v1/keys", { body }));
}

export function rotateKey(keyId: string, overlapSeconds: number): Promise<NewApiKey> {
  return unwrap(
    api.POST("/v1/keys/{key_id}/rotate", {
      params: { path: { key_id: keyId } },
      body: { overlap_seconds: overlapSeconds },
    }),
  );
}

export function revokeKey(keyId: string): Promise<unknown> {
  return unwrap(api.DELETE("/v1/keys/{key_id}", { params: { path: { key_id: keyId } } }));
}
