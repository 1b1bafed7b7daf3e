import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { text } from "@/text";

import { useLiveStatus } from "./context";
import "./live.css";

const { recent } = text.dashboard;

/** Says whether the list is live and lets it be held still (WCAG 2.2.2). */
export function LiveToggle({ paused, waiting, onToggle }: { paused: boolean; waiting: number; onToggle: () => void }) {
  const { state } = useLiveStatus();
  return (
    <span className="live-toggle">
      {paused ? (
        <Badge tone="warning">{waiting > 0 ? recent.waiting(waiting) : recent.paused}</Badge>
      ) : (
        <span className={`live-dot ${state === "open" ? "live-dot-on" : ""}`}>
          {state === "open" ? recent.live : recent.paused}
        </span>
      )}
      <Button
        variant="quiet"
        size="small"
        iconOnly
        aria-pressed={paused}
        aria-label={paused ? recent.resume : recent.pause}
        title={paused ? recent.resume : recent.pause}
        onClick={onToggle}
      >
        <Icon name={paused ? "play" : "pause"} size={16} />
      </Button>
    </span>
  );
}
