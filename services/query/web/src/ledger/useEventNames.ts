import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";

import { eventNamesQuery } from "@/api/queries/events";
import { useAccount } from "@/session/context";

/** The name of an event as people gave it, else its id. */
export function useEventNames(): (eventId: string) => string {
  const { accountId } = useAccount();
  const { data } = useQuery(eventNamesQuery(accountId));
  return useCallback((eventId) => data?.[eventId] ?? eventId, [data]);
}
