import type { ReactNode } from "react";

import { text } from "@/text";

import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { ProblemPanel } from "./ProblemPanel";

export interface FormDialogProps {
  title: string;
  submit: string;
  busy: boolean;
  /** A refusal that no field of the form shows. */
  problem: Error | null;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
}

/** A form in a dialog: its fields, what went wrong, and the two ways out. It is not sent twice. */
export function FormDialog({ title, submit, busy, problem, onSubmit, onClose, children }: FormDialogProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) onSubmit();
        }}
      >
        {children}
        {problem === null ? null : <ProblemPanel error={problem} />}
        <div className="dialog-actions">
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button type="submit" variant="primary" busy={busy}>
            {submit}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
