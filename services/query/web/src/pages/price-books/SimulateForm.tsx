import { useState, type ReactNode } from "react";

import { ApiProblem } from "@/api/problem";
import { Button } from "@/components/Button";
import { ProblemPanel } from "@/components/ProblemPanel";
import { text } from "@/text";

const { simulate: words } = text.priceBooks;

interface Run {
  readonly error: Error | null;
  readonly isPending: boolean;
  readonly mutate: () => void;
}

interface Props {
  run: Run;
  /** Whether what is asked for is not known yet. */
  busy?: boolean;
  isGood: boolean;
  /** `shown`: what is wrong is said from the first try on. */
  fields: (shown: boolean) => ReactNode;
  /** What came of it; null: nothing yet. */
  result: ReactNode;
}

/** A question to the price book: fields, the button that asks, what was refused and not at a field, and the answer. */
export function SimulateForm({ run, busy = false, isGood, fields, result }: Props) {
  const [shown, setShown] = useState(false);
  const isPlaced = run.error instanceof ApiProblem && run.error.errors.length > 0;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setShown(true);
        if (isGood) run.mutate();
      }}
    >
      <div className="simulate-grid">{fields(shown)}</div>
      <div className="row">
        <Button type="submit" busy={run.isPending || busy}>
          {words.run}
        </Button>
      </div>
      {run.error === null || isPlaced ? null : <ProblemPanel error={run.error} />}
      <div role="status" className="simulate-status">
        {result}
      </div>
    </form>
  );
}
