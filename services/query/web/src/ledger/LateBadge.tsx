import type { Transaction } from "@/api/types";
import { Badge } from "@/components/Badge";
import { formatDuration, isLate } from "@/format";
import { text } from "@/text";

/** Marks what was posted long after the work was done. */
export function LateBadge({ row }: { row: Pick<Transaction, "type" | "occurred_at" | "posted_at"> }) {
  // An import of money is no late work.
  if (row.type !== "consume" || !isLate(row.occurred_at, row.posted_at)) return null;
  const ago = formatDuration(Date.parse(row.posted_at) - Date.parse(row.occurred_at));
  return (
    <Badge tone="warning" icon="clock" title={text.common.lateTitle(ago)}>
      {text.common.late}
    </Badge>
  );
}
