import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { Webhook } from "@/api/contract";
import { detailAt } from "@/api/problem";
import { confirmWebhook } from "@/api/queries/webhooks";
import { Button } from "@/components/Button";
import { ProblemPanel } from "@/components/ProblemPanel";
import { TextField } from "@/components/TextField";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { confirm: words } = text.webhooks;

interface Props {
  webhook: Webhook;
  onConfirmed: () => void;
}

/** Takes the code that was mailed to an address: whoever reads it wants what is sent to it. */
export function ConfirmMail({ webhook, onConfirmed }: Props) {
  const { accountId } = useAccount();
  const [code, setCode] = useState("");
  const [shown, setShown] = useState(false);
  const confirm = useMutation({
    mutationFn: () => confirmWebhook(accountId, webhook.webhook_id, code.trim()),
    onSuccess: onConfirmed,
  });
  const refused = detailAt(confirm.error, "/code");
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setShown(true);
        if (code.trim() !== "") confirm.mutate();
      }}
    >
      <p className="muted small">{words.text}</p>
      <TextField
        label={words.code}
        required
        type="text"
        autoComplete="one-time-code"
        autoCapitalize="none"
        spellCheck={false}
        value={code}
        error={shown && code.trim() === "" ? words.missing : refused}
        onChange={(event) => {
          confirm.reset();
          setCode(event.target.value);
        }}
      />
      {confirm.error === null || refused !== undefined ? null : <ProblemPanel error={confirm.error} />}
      <Button type="submit" size="small" variant="primary" busy={confirm.isPending}>
        {words.submit}
      </Button>
    </form>
  );
}
