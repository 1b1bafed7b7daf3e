import { useEffect, useState } from "react";

import { Announcement } from "./announcement";
import { useLive } from "./context";

const PACE_MS = 5_000;

/** Tells a screen reader what arrived, politely: at most every five seconds, summed up. */
export function LiveRegion() {
  const live = useLive();
  const [said, setSaid] = useState("");

  useEffect(() => {
    if (live === null) return;
    const announcement = new Announcement();
    const stop = live.subscribe((batch) => announcement.add(batch));
    const timer = setInterval(() => {
      const sentence = announcement.take();
      if (sentence !== null) setSaid(sentence);
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
