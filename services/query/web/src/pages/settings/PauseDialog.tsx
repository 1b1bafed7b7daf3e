import { useMutation, useQueryClient } from "@tanstack/react-query";

import type { BoothListed } from "@/api/types";
import { keys } from "@/api/keys";
import { putBooth } from "@/api/queries/booths";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { booths: words } = text.settings;

/** Asks before a booth is kept from working, or lets it work again. */
export function PauseDialog({ booth, onClose }: { booth: BoothListed; onClose: () => void }) {
  const { accountId } = useAccount();
  const queryClient = useQueryClient();
  const name = booth.name ?? booth.booth_id;
  // A booth that only usage named has no name yet, and needs one: its id it is.
  const change = useMutation({
    mutationFn: () => putBooth(accountId, booth.booth_id, { name, paused: !booth.paused }),
    onSuccess: (booths) => {
      queryClient.setQueryData(keys.booths(accountId), booths);
      onClose();
    },
  });
  return (
    <Dialog title={booth.paused ? `${words.resume} ${name}` : words.pauseTitle(name)} onClose={onClose}>
      <p>{words.pauseText}</p>
      {change.error === null ? null : <ProblemPanel error={change.error} />}
      <div className="dialog-actions">
        <Button onClick={onClose}>{text.common.cancel}</Button>
        <Button
          variant={booth.paused ? "primary" : "danger"}
          autoFocus
          busy={change.isPending}
          onClick={() => change.mutate()}
        >
          {booth.paused ? words.resume : words.confirm}
        </Button>
      </div>
    </Dialog>
  );
}
