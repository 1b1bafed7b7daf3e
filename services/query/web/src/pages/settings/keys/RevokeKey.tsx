import { useMutation } from "@tanstack/react-query";

import type { ApiKey } from "@/api/contract";
import { revokeKey } from "@/api/queries/keys";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { text } from "@/text";

import { hintOf, nameOf } from "./describe";

const { revoke: words } = text.keys;

interface Props {
  asked: ApiKey;
  /** The session's own. */
  isOwn: boolean;
  onRevoked: () => void;
  onClose: () => void;
}

/** Asks before a key ends for good. */
export function RevokeKey({ asked, isOwn, onRevoked, onClose }: Props) {
  const revoke = useMutation({ mutationFn: () => revokeKey(asked.key_id), onSuccess: onRevoked });
  return (
    <Dialog title={words.question(nameOf(asked))} onClose={onClose}>
      <p>
        <code>{hintOf(asked)}</code>
      </p>
      <p>{words.text}</p>
      {isOwn ? <p className="form-problem">{words.own}</p> : null}
      {revoke.error === null ? null : <ProblemPanel error={revoke.error} />}
      <div className="dialog-actions">
        <Button autoFocus onClick={onClose}>
          {text.common.cancel}
        </Button>
        <Button variant="danger" busy={revoke.isPending} onClick={() => revoke.mutate()}>
          {words.confirm}
        </Button>
      </div>
    </Dialog>
  );
}
