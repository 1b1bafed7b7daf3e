import { useMemo, useState } from "react";

import type { PriceBook } from "@/api/types";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { Segmented } from "@/components/Segmented";
import { text } from "@/text";

import { PeriodForm } from "./PeriodForm";
import { workChoices, type WorkChoice } from "./simulate-draft";
import { WorkForm } from "./WorkForm";

const { simulate: words } = text.priceBooks;

export interface SimulateProps {
  book: PriceBook;
  /** The document as it is typed; null: the book is published. */
  draft: string | null;
  /** Takes an error of the document itself; false: it is about what is asked. */
  onProblem: ((error: unknown) => boolean) | null;
}

/** What work would cost by the book, beside what it costs now. */
export function SimulatePanel({ book, draft, onProblem }: SimulateProps) {
  const [mode, setMode] = useState<"work" | "period">("work");
  const choices = useMemo(() => choicesOrNone(book), [book]);
  return (
    <Panel
      title={words.title}
      note={words.note}
      actions={
        <Segmented
          label={words.mode}
          value={mode}
          onChange={setMode}
          options={[
            { value: "work", label: words.work },
            { value: "period", label: words.period },
          ]}
        />
      }
    >
      {choices.length === 0 ? (
        <EmptyState icon="pricing" title={words.noRows} />
      ) : mode === "work" ? (
        <WorkForm book={book} draft={draft} choices={choices} onProblem={onProblem} />
      ) : (
        <PeriodForm book={book} draft={draft} onProblem={onProblem} />
      )}
    </Panel>
  );
}

// A document under way may lack what is looked for.
function choicesOrNone(book: PriceBook): WorkChoice[] {
  try {
    return workChoices(book);
  } catch {
    return [];
  }
}
