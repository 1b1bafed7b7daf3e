import type { Webhook } from "@/api/contract";
import { SecretShown } from "@/components/SecretShown";
import { formatDateTime } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { secret: words } = text.webhooks;

/** A secret that is not shown again; an address of mail has none. */
export function SecretOnce({ webhook, onDone }: { webhook: Webhook; onDone: () => void }) {
  const { zone } = useAccount();
  const until = webhook.previous_secret_until;
  return (
    <SecretShown
      intro={webhook.secret === undefined ? words.mail : words.text}
      value={webhook.secret}
      label={words.label}
      note={until ? words.overlap(formatDateTime(until, zone)) : null}
      done={words.done}
      onDone={onDone}
    />
  );
}
