import { useEffect, useState } from "react";

import { Icon } from "@/components/Icon";
import { formatTime } from "@/format";
import { useLiveStatus } from "@/live/context";
import { text } from "@/text";

// A reconnection within this time is nobody's business.
const PATIENCE_MS = 4_000;

/** Says that what is shown stands still, and since when; the pages stay usable. */
export function OfflineBanner({ zone }: { zone: string }) {
  const { state, lastEventAt } = useLiveStatus();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (state === "open") {
      setShown(false);
      return;
    }
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [state]);
  return (
    <div role="status">
      {shown ? (
        <p className="shell-banner">
          <Icon name="alert" size={16} />
          {lastEventAt === null
            ? text.common.offlineNoTime
            : text.common.offline(formatTime(new Date(lastEventAt).toISOString(), zone, false))}
        </p>
      ) : null}
    </div>
  );
}
