import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { useLiveStatus } from "@/live/context";

import type { Pace } from "./pace";

/**
 * Asks seldom while the stream brings what is new, and at once when it ends: of a token that is over, the next answer says
 * why.
 */
export function KeepPace({ pace }: { pace: Pace }) {
  const { state } = useLiveStatus();
  const queryClient = useQueryClient();
  useEffect(() => {
    pace.setLive(state === "open");
    if (state === "paused") void queryClient.invalidateQueries();
  }, [pace, state, queryClient]);
  return null;
}
