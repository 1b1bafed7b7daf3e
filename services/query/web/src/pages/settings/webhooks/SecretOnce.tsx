import type { Webhook } from "@/api/contract";
import { Button } from "@/components/Button";
import { SecretBox } from "@/components/SecretBox";
import { formatDateTime } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { secret: words } = text.webhooks;

/** A secret that is not shown again. */
export function SecretOnce({ webhook, onDone }: { webhook: Webhook; onDone: () => void }) {
  const { zone } = useAccount();
  return (
    <>
      {webhook.secret === undefined ? (
        <p>{words.mail}</p>
      ) : (
        <>
          <p>{words.text}</p>
          <SecretBox value={webhook.secret} label={words.label} />
        </>
      )}
      {webhook.previous_secret_until ? (
        <p className="muted small">{words.overlap(formatDateTime(webhook.previous_secret_until, zone))}</p>
      ) : null}
      <div className="dialog-actions">
        <Button variant="primary" onClick={onDone}>
          {words.done}
        </Button>
      </div>
    </>
  );
}
