import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { dismiss } from "@/api/queries/fleet";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { TextField } from "@/components/TextField";
import { formatCount } from "@/format";
import { text } from "@/text";

import { CountsList } from "./CountsList";
import { addCounts, totalOf, type Counts } from "./redrive-counts";

const { deadLetters: words } = text.fleet;
const CHARS_MAX = 500;

/** The one letter, or all open ones of a reason. */
export type Dismissed = { readonly id: string } | { readonly reason: string };

/** Nothing will be charged for letters: the note that is kept with them, and what became of each. */
export function DismissDialog({ dismissed, onClose }: { dismissed: Dismissed; onClose: () => void }) {
  const queryClient = useQueryClient();
  const [note, setNote] = useState("");
  const [shown, setShown] = useState(false);
  const [counts, setCounts] = useState<Counts>({});
  // Letters that come while somebody writes the note were seen by nobody, and are not meant.
  const [before] = useState(() => new Date().toISOString());
  const said = note.trim();
  const error = said === "" ? words.noteMissing : Array.from(said).length > CHARS_MAX ? words.noteLong : undefined;
  const isPart = (counts.pending ?? 0) > 0;
  const run = useMutation({
    mutationFn: async () => {
      setCounts({});
      let sum: Counts = {};
      let after: number | null = null;
      do {
        const letters = "id" in dismissed ? { ids: [dismissed.id] } : { reason: dismissed.reason, before };
        const answer: Awaited<ReturnType<typeof dismiss>> = await dismiss({
          note: said,
          ...letters,
          ...(after === null ? {} : { after }),
        });
        sum = addCounts(sum, answer.counts);
        setCounts(sum);
        after = answer.next_after ?? null;
      } while (after !== null);
      return sum;
    },
    onSettled: () => refresh(),
  });
  const refresh = () => queryClient.invalidateQueries({ queryKey: ["fleet", "dead-letters"] });
  const close = () => {
    // What lists the letters reads a dismissal by itself, and may not have come to it when it was asked first.
    if (run.isSuccess) void refresh();
    onClose();
  };
  const title = "id" in dismissed ? words.dismissQuestion : words.dismissAllQuestion(dismissed.reason.replaceAll("_", " "));
  return (
    <Dialog title={title} onClose={close} closable={!run.isPending}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setShown(true);
          if (error === undefined && !run.isPending) run.mutate();
        }}
      >
        {run.isSuccess && !isPart ? null : (
          <>
            <p>{words.dismissText}</p>
            <TextField
              label={words.note}
              hint={words.noteHint}
              required
              autoFocus
              autoComplete="off"
              value={note}
              disabled={run.isPending}
              error={shown ? error : undefined}
              onChange={(event) => setNote(event.target.value)}
            />
          </>
        )}
        <div role="status">
          {run.isPending ? <p className="muted small">{words.dismissing(formatCount(totalOf(counts)))}</p> : null}
          {run.isSuccess && totalOf(counts) === 0 ? <p>{words.nothing}</p> : null}
          {run.isPending ? null : <CountsList counts={counts} names={words.dismissals} />}
        </div>
        {run.error === null ? null : <ProblemPanel error={run.error} />}
        <div className="dialog-actions">
          <Button disabled={run.isPending} onClick={close}>
            {run.isSuccess ? text.common.close : text.common.cancel}
          </Button>
          {run.isSuccess && !isPart ? null : (
            <Button type="submit" variant="primary" busy={run.isPending}>
              {words.dismiss}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}
