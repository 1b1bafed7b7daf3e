import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";

import { api, unwrap } from "@/api/client";
import { keys } from "@/api/keys";
import { useAccount } from "@/session/context";

// The events with the newest activity; an older one is shown by its id.
const EVENTS_MAX = 200;
const STALE_MS = 5 * 60_000;

/** The name of an event as people gave it, else its id. */
export function useEventNames(): (eventId: string) => string {
  const { accountId } = useAccount();
  const { data } = useQuery({
    queryKey: keys.eventNames(accountId),
    queryFn: async ({ signal }) => {
      const page = await unwrap(
        api.GET("/v1/accounts/{account_id}/events", {
          params: { path: { account_id: accountId }, query: { limit: EVENTS_MAX } },
          signal,
        }),
      );
      return Object.fromEntries(page.data.map((event) => [event.event_id, event.name ?? event.event_id]));
    },
    staleTime: STALE_MS,
  });
  return useCallback((eventId) => data?.[eventId] ?? eventId, [data]);
}
