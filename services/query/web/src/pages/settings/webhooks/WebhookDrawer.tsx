import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { Webhook } from "@/api/contract";
import { pingWebhook } from "@/api/queries/webhooks";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { Dialog } from "@/components/Dialog";
import { Instant } from "@/components/Instant";
import { ProblemPanel } from "@/components/ProblemPanel";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { ConfirmMail } from "./ConfirmMail";
import { DeadList } from "./DeadList";
import { DeleteWebhook } from "./DeleteWebhook";
import { DeliveryState } from "./DeliveryState";
import { isMail, typesText } from "./event-types";
import { RotateSecret } from "./RotateSecret";

const { webhooks: words } = text;

interface Props {
  webhook: Webhook;
  zone: string;
  onChanged: () => void;
  onClose: () => void;
}

/** All about one endpoint: try it, give it a new secret, send again what failed, delete it. */
export function WebhookDrawer({ webhook, zone, onChanged, onClose }: Props) {
  const { accountId } = useAccount();
  const [asked, setAsked] = useState<"rotate" | "delete" | null>(null);
  const ping = useMutation({
    mutationFn: () => pingWebhook(accountId, webhook.webhook_id),
    onSettled: onChanged,
  });
  if (asked === "rotate") {
    return <RotateSecret webhook={webhook} onRotated={onChanged} onClose={() => setAsked(null)} />;
  }
  if (asked === "delete") {
    return (
      <DeleteWebhook
        webhook={webhook}
        onDeleted={() => {
          onClose();
          onChanged();
        }}
        onClose={() => setAsked(null)}
      />
    );
  }
  return (
    <Dialog kind="drawer" title={words.manageTitle} onClose={onClose}>
      <dl className="facts">
        <div>
          <dt>{words.facts.url}</dt>
          <dd>
            <code className="webhook-url">{webhook.url}</code>
          </dd>
        </div>
        <div>
          <dt>{words.facts.id}</dt>
          <dd className="webhook-id">
            <code>{webhook.webhook_id}</code>
            <CopyButton value={webhook.webhook_id} label={words.facts.id} />
          </dd>
        </div>
        <div>
          <dt>{words.facts.events}</dt>
          <dd>{typesText(webhook.event_types)}</dd>
        </div>
        <div>
          <dt>{words.facts.created}</dt>
          <dd>
            <Instant at={webhook.created_at} zone={zone} />
          </dd>
        </div>
        {webhook.previous_secret_until ? (
          <div>
            <dt>{words.facts.rotating}</dt>
            <dd>
              <Instant at={webhook.previous_secret_until} zone={zone} />
            </dd>
          </div>
        ) : null}
        <div>
          <dt>{words.facts.deliveries}</dt>
          <dd>
            <DeliveryState webhook={webhook} />
          </dd>
        </div>
      </dl>
      {webhook.confirmed ? null : <ConfirmMail webhook={webhook} onConfirmed={onChanged} />}
      <div className="webhook-actions">
        <Button size="small" busy={ping.isPending} onClick={() => ping.mutate()}>
          {webhook.confirmed ? words.ping.send : words.confirm.again}
        </Button>
        {isMail(webhook.url) ? null : (
          <Button size="small" onClick={() => setAsked("rotate")}>
            {words.rotate.start}
          </Button>
        )}
        <Button size="small" className="webhook-delete" onClick={() => setAsked("delete")}>
          {words.remove.start}
        </Button>
      </div>
      <div role="status">
        {ping.isSuccess ? <p className="muted small">{webhook.confirmed ? words.ping.sent : words.confirm.sent}</p> : null}
      </div>
      {ping.error === null ? null : <ProblemPanel error={ping.error} />}
      <DeadList webhook={webhook} zone={zone} onReplayed={onChanged} />
    </Dialog>
  );
}
