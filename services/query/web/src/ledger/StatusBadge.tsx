import { Badge } from "@/components/Badge";

import { statusText } from "./describe";

export function StatusBadge({ status }: { status: string }) {
  const failed = status === "failed";
  return (
    <Badge tone={failed ? "danger" : "success"} icon={failed ? "cross" : "check"}>
      {statusText(status)}
    </Badge>
  );
}
