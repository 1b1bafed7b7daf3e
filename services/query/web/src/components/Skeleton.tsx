import { text } from "@/text";

import "./states.css";

/** A block of the size of what is to come; `lines` of them make a list. */
export function Skeleton({ height, width = "100%", lines = 1 }: { height: string; width?: string; lines?: number }) {
  return (
    <div className="skeleton-stack skeleton-late" role="status" aria-busy="true" aria-label={text.common.loading}>
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className="skeleton" style={{ height, width }} />
      ))}
    </div>
  );
}
