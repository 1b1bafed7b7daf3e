import { useEffect, useRef, useState } from "react";

import { formatMoney } from "@/format";
import { text } from "@/text";

import { useLive } from "./context";

const PACE_MS = 5_000;

/** Tells a screen reader what arrived, politely: at most every five seconds, summed up. */
export function LiveRegion() {
  const live = useLive();
  const [said, setSaid] = useState("");
  const count = useRef(0);
  const balance = useRef<string | null>(null);

  useEffect(() => {
    if (live === null) return;
    const stop = live.subscribe((batch) => {
      count.current += batch.transactions.length;
      if (batch.balance !== null) balance.current = formatMoney(batch.balance.balance);
    });
    const timer = setInterval(() => {
      if (count.current === 0) return;
      const parts = [text.dashboard.recent.newCharges(count.current)];
      if (balance.current !== null) parts.push(text.dashboard.recent.balanceNow(balance.current));
      setSaid(parts.join(", "));
      count.current = 0;
    }, PACE_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [live]);

  return (
    <p className="visually-hidden" aria-live="polite" data-testid="live-region">
      {said}
    </p>
  );
}
