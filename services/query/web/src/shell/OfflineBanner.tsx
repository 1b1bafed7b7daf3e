import { useEffect, useState } from "react";

import { Icon } from "@/components/Icon";
import { formatTime } from "@/format";
import { useLiveStatus } from "@/live/context";
import type { LiveState } from "@/live/stream";
import { text } from "@/text";

// A reconnection within this time is nobody's business.
const PATIENCE_MS = 4_000;

function said(state: LiveState, lastEventAt: number | null, zone: string): string {
  if (lastEventAt === null) return text.common.offlineNoTime;
  const time = formatTime(new Date(lastEventAt).toISOString(), zone, false);
  return state === "stale" ? text.common.stale(time) : text.common.offline(time);
}

/** Says that what is shown stands still, and since when; the pages stay usable. */
export function OfflineBanner({ zone }: { zone: string }) {
  const { state, lastEventAt } = useLiveStatus();
  const [waited, setWaited] = useState(false);
  const away = state !== "open";
  useEffect(() => {
    if (!away) return;
    const timer = setTimeout(() => setWaited(true), PATIENCE_MS);
    return () => {
      clearTimeout(timer);
      setWaited(false);
    };
  }, [away]);
  const shown = away && waited;
  return (
    <div role="status">
      {shown ? (
        <p className="shell-banner">
          <Icon name="alert" size={16} />
          {said(state, lastEventAt, zone)}
        </p>
      ) : null}
    </div>
  );
}
