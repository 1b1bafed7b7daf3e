import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";

import { refusalOf, type Refusal } from "./refusal";

/**
 * What the service says about the link, by any of its answers: figures that were read before it ended are shown no
 * longer, and nothing more is asked for; but for what is not there, every `againMs`.
 */
export function useRefusal(againMs: number): { refusal: Refusal | null; forget: () => void } {
  const queryClient = useQueryClient();
  const [refusal, setRefusal] = useState<Refusal | null>(null);

  useEffect(
    () =>
      queryClient.getQueryCache().subscribe((event) => {
        if (event.type !== "updated" || event.action.type !== "error") return;
        const said = refusalOf(event.action.error);
        if (said !== null) setRefusal(said);
      }),
    [queryClient],
  );

  // Figures stay while the new token asks for them; where there were none any more, it begins anew.
  const forget = useCallback(() => {
    queryClient.removeQueries({ type: "inactive" });
    void queryClient.invalidateQueries();
    setRefusal(null);
  }, [queryClient]);

  // What is not there yet may come: an event is there from its first charge on.
  useEffect(() => {
    if (refusal !== "missing") return;
    const timer = window.setTimeout(forget, againMs);
    return () => window.clearTimeout(timer);
  }, [refusal, forget, againMs]);

  return { refusal, forget };
}
