import type { Webhook } from "@/api/contract";
import { Badge } from "@/components/Badge";
import { formatCount } from "@/format";
import { text } from "@/text";

const { webhooks: words } = text;

/** Whether what was to be told has arrived. */
export function DeliveryState({ webhook }: { webhook: Webhook }) {
  if (!webhook.confirmed) {
    return (
      <Badge tone="warning" icon="clock">
        {words.confirm.state}
      </Badge>
    );
  }
  if (webhook.dead === 0 && webhook.waiting === 0) {
    return (
      <Badge tone="success" icon="check">
        {words.delivered}
      </Badge>
    );
  }
  return (
    <span className="webhook-state">
      {webhook.dead === 0 ? null : (
        <Badge tone="danger" icon="alert">
          {words.dead(formatCount(webhook.dead))}
        </Badge>
      )}
      {webhook.waiting === 0 ? null : (
        <Badge tone="info" icon="clock">
          {words.waiting(formatCount(webhook.waiting))}
        </Badge>
      )}
    </span>
  );
}
