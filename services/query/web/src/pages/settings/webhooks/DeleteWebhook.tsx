import { useMutation } from "@tanstack/react-query";

import type { Webhook } from "@/api/contract";
import { deleteWebhook } from "@/api/queries/webhooks";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { remove: words } = text.webhooks;

interface Props {
  webhook: Webhook;
  onDeleted: () => void;
  onClose: () => void;
}

export function DeleteWebhook({ webhook, onDeleted, onClose }: Props) {
  const { accountId } = useAccount();
  const remove = useMutation({
    mutationFn: () => deleteWebhook(accountId, webhook.webhook_id),
    onSuccess: onDeleted,
  });
  return (
    <Dialog title={words.question} onClose={onClose}>
      <p>
        <code className="webhook-url">{webhook.url}</code>
      </p>
      <p>{words.text}</p>
      {remove.error === null ? null : <ProblemPanel error={remove.error} />}
      <div className="dialog-actions">
        <Button autoFocus onClick={onClose}>
          {text.common.cancel}
        </Button>
        <Button variant="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
          {words.confirm}
        </Button>
      </div>
    </Dialog>
  );
}
