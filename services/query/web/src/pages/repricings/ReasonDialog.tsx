import { useState } from "react";

import type { Repricing } from "@/api/contract";
import type { Way } from "@/api/queries/repricings";
import { FormDialog } from "@/components/FormDialog";
import { TextField } from "@/components/TextField";
import { formatMoney, isNegative, isZero, negate } from "@/format";
import { text } from "@/text";

import { totalOf } from "./lines";

const { repricings: words } = text;
const CHARS_MAX = 500;

interface Props {
  way: Way;
  repricing: Repricing;
  onSubmit: (reason: string) => void;
  onClose: () => void;
}

/** What is about to happen, and the reason that is kept with it. */
export function ReasonDialog({ way, repricing, onSubmit, onClose }: Props) {
  const [reason, setReason] = useState("");
  const [shown, setShown] = useState(false);
  const said = reason.trim();
  const error = said === "" ? words.reasonMissing : said.length > CHARS_MAX ? words.reasonLong : undefined;
  const { question, submit } = words[way];
  return (
    <FormDialog
      title={question}
      submit={submit}
      busy={false}
      problem={null}
      onClose={onClose}
      onSubmit={() => {
        setShown(true);
        if (error === undefined) onSubmit(said);
      }}
    >
      <p>{way === "apply" ? applyText(repricing) : undoText(repricing)}</p>
      <TextField
        label={words.reason}
        hint={words.reasonHint}
        required
        autoFocus
        autoComplete="off"
        value={reason}
        error={shown ? error : undefined}
        onChange={(event) => setReason(event.target.value)}
      />
    </FormDialog>
  );
}

function applyText({ accounts }: Repricing): string {
  const total = totalOf(accounts);
  if (total === null) return "";
  const changed = accounts.filter((account) => account.changes > 0).length;
  const what = words.apply.text(words.sums.charge(total.changes, changed));
  if (isZero(total.difference)) return what;
  const amount = isNegative(total.difference)
    ? words.apply.cheaper(formatMoney(negate(total.difference)))
    : words.apply.dearer(formatMoney(total.difference));
  return `${what} ${amount}`;
}

function undoText({ accounts, applied, undone }: Repricing): string {
  const touched = accounts.filter((account) => account.applied > account.undone).length;
  return words.undo.text(words.sums.charge(Math.max(0, applied - undone), touched));
}
