import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { redrive } from "@/api/queries/fleet";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { formatCount } from "@/format";
import { text } from "@/text";

import { CountsList } from "./CountsList";
import { addCounts, totalOf, type Counts } from "./redrive-counts";

const { deadLetters: words } = text.fleet;

/** Every open letter of a reason, judged once more: request after request, until all were tried. */
export function RedriveAll({ reason, onClose }: { reason: string; onClose: () => void }) {
  const queryClient = useQueryClient();
  const [counts, setCounts] = useState<Counts>({});
  const run = useMutation({
    mutationFn: async () => {
      let sum: Counts = {};
      let after: number | null = null;
      do {
        const answer: Awaited<ReturnType<typeof redrive>> = await redrive({
          reason,
          ...(after === null ? {} : { after }),
        });
        sum = addCounts(sum, answer.counts);
        setCounts(sum);
        after = answer.next_after ?? null;
      } while (after !== null);
      return sum;
    },
    onSettled: () => queryClient.invalidateQueries({ queryKey: ["fleet", "dead-letters"] }),
  });
  const total = totalOf(counts);
  return (
    <Dialog title={words.againQuestion(reason.replaceAll("_", " "))} onClose={onClose} closable={!run.isPending}>
      <p>{words.againText}</p>
      <div role="status">
        {run.isPending ? <p className="muted small">{words.driving(formatCount(total))}</p> : null}
        {run.isSuccess && total === 0 ? <p>{words.nothing}</p> : null}
        {run.isPending ? null : <CountsList counts={counts} names={words.outcomes} />}
      </div>
      {run.error === null ? null : <ProblemPanel error={run.error} />}
      <div className="dialog-actions">
        <Button disabled={run.isPending} onClick={onClose}>
          {run.isSuccess ? text.common.close : text.common.cancel}
        </Button>
        {run.isSuccess ? null : (
          <Button variant="primary" autoFocus busy={run.isPending} onClick={() => run.mutate()}>
            {words.again}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
