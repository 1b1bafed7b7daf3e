import { useEffect, useState } from "react";

import { isoDate } from "@/format";

const CHECK_MS = 30_000;

/** The time, kept until the zone's calendar date changes: a page that stays open over midnight moves on. */
export function useToday(zone: string): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow((before) => {
        const next = new Date();
        return isoDate(before, zone) === isoDate(next, zone) ? before : next;
      });
    }, CHECK_MS);
    return () => clearInterval(timer);
  }, [zone]);
  return now;
}
