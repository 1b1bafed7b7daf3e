import type { ReactNode } from "react";

import { Button } from "./Button";
import { SecretBox } from "./SecretBox";

export interface SecretShownProps {
  intro: string;
  /** Undefined: there is none, and only the words are shown. */
  value: string | undefined;
  label: string;
  note?: ReactNode;
  done: string;
  onDone: () => void;
}

/** What a dialog says once about something that is not shown again. */
export function SecretShown({ intro, value, label, note, done, onDone }: SecretShownProps) {
  return (
    <>
      <p>{intro}</p>
      {value === undefined ? null : <SecretBox value={value} label={label} />}
      {note === undefined || note === null ? null : <p className="muted small">{note}</p>}
      <div className="dialog-actions">
        <Button variant="primary" onClick={onDone}>
          {done}
        </Button>
      </div>
    </>
  );
}
