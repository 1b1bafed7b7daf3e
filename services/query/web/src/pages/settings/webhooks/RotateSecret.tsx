import { useMutation } from "@tanstack/react-query";

import type { Webhook } from "@/api/contract";
import { rotateWebhook } from "@/api/queries/webhooks";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { SecretOnce } from "./SecretOnce";

const { rotate: words, secret } = text.webhooks;

interface Props {
  webhook: Webhook;
  onRotated: () => void;
  onClose: () => void;
}

export function RotateSecret({ webhook, onRotated, onClose }: Props) {
  const { accountId } = useAccount();
  const rotate = useMutation({
    mutationFn: () => rotateWebhook(accountId, webhook.webhook_id),
    onSuccess: onRotated,
  });
  if (rotate.data !== undefined) {
    return (
      <Dialog title={secret.rotated} onClose={onClose}>
        <SecretOnce webhook={rotate.data} onDone={onClose} />
      </Dialog>
    );
  }
  return (
    <Dialog title={words.question} onClose={onClose}>
      <p>{words.text}</p>
      {rotate.error === null ? null : <ProblemPanel error={rotate.error} />}
      <div className="dialog-actions">
        <Button onClick={onClose}>{text.common.cancel}</Button>
        <Button variant="primary" autoFocus busy={rotate.isPending} onClick={() => rotate.mutate()}>
          {words.confirm}
        </Button>
      </div>
    </Dialog>
  );
}
