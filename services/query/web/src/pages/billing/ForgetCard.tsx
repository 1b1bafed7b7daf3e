import { useMutation, useQueryClient } from "@tanstack/react-query";

import { keys } from "@/api/keys";
import { forgetCard } from "@/api/queries/card";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { card: words } = text.billing;

/** Asks before nothing can be bought any more. */
export function ForgetCard({ onClose }: { onClose: () => void }) {
  const { accountId } = useAccount();
  const queryClient = useQueryClient();
  const forget = useMutation({
    mutationFn: () => forgetCard(accountId),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keys.card(accountId) });
      onClose();
    },
  });
  return (
    <Dialog title={words.forgetQuestion} onClose={onClose}>
      <p>{words.forgetText}</p>
      {forget.error === null ? null : <ProblemPanel error={forget.error} />}
      <div className="dialog-actions">
        <Button onClick={onClose}>{text.common.cancel}</Button>
        <Button variant="danger" busy={forget.isPending} onClick={() => forget.mutate()}>
          {words.forget}
        </Button>
      </div>
    </Dialog>
  );
}
