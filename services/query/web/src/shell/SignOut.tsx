import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";

import { ApiProblem } from "@/api/problem";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Icon } from "@/components/Icon";
import type { SessionContextValue } from "@/session/context";
import { replaceSession, signOut } from "@/session/session";
import { text } from "@/text";

const { signOutFailed: words } = text.common;

/** Ends the session. Where that does not work the pages stay, and say so: nobody may walk away and believe it. */
export function SignOut({ session }: { session: SessionContextValue }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const [failure, setFailure] = useState<Error | null>(null);
  const { mutate, isPending } = useMutation({
    mutationFn: signOut,
    onError: setFailure,
    onSuccess: (left) => {
      session.chooseAccount(null);
      replaceSession(queryClient, null);
      // The public pages stay where they are; what has to be told is told where one signs in.
      if (left === "here") void navigate("/sign-in", { replace: true, state: { left } });
    },
  });
  const close = () => setFailure(null);
  return (
    <>
      <Button variant="quiet" busy={isPending} onClick={() => mutate()}>
        {isPending ? null : <Icon name="signOut" size={16} />}
        {text.common.signOut}
      </Button>
      {failure === null ? null : (
        <Dialog title={words.title} onClose={close}>
          <p className="form-problem" role="alert">
            {reasonOf(failure)}
          </p>
          <p>{words.text}</p>
          <div className="dialog-actions">
            <Button onClick={close}>{text.common.close}</Button>
            <Button variant="primary" autoFocus busy={isPending} onClick={() => mutate()}>
              {words.again}
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function reasonOf(error: Error): string {
  if (!(error instanceof ApiProblem)) return text.common.problem.crashed;
  return error.status === 0 ? text.common.problem.unreachable : (error.detail ?? error.title);
}
