import { useQuery } from "@tanstack/react-query";

import { api, unwrap } from "@/api/client";
import { keys } from "@/api/keys";

import { RECENT_ROWS_MAX, type RecentRows } from "./apply";
import { useLive } from "./context";
import { mergeRows } from "./merge";

/**
 * The newest rows of the account, or of one of its events, kept current by the stream without gap or double: the list is
 * read at or above the entry the stream began at, and merged with what the stream brought since.
 */
export function useRecent(accountId: string, eventId: string | null = null, limit = 50) {
  const live = useLive();
  return useQuery({
    queryKey: keys.recent(accountId, eventId),
    queryFn: async ({ signal }): Promise<RecentRows> => {
      const floor = live?.ring.floorSeq ?? 0;
      const query = { limit, ...(floor > 0 ? { min_seq: floor } : {}) };
      const page = await (eventId === null
        ? unwrap(
            api.GET("/v1/accounts/{account_id}/transactions", {
              params: { path: { account_id: accountId }, query },
              signal,
            }),
          )
        : unwrap(
            api.GET("/v1/accounts/{account_id}/events/{event_id}/transactions", {
              params: { path: { account_id: accountId, event_id: eventId }, query },
              signal,
            }),
          ));
      const newer = live?.ring.matching(eventId) ?? [];
      return { rows: mergeRows(page.data, newer, RECENT_ROWS_MAX), hasMore: page.has_more };
    },
  });
}
