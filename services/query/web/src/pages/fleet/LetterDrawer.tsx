import { useMutation, useQueryClient } from "@tanstack/react-query";

import { redrive } from "@/api/queries/fleet";
import type { DeadLetter } from "@/api/types";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Instant } from "@/components/Instant";
import { ProblemPanel } from "@/components/ProblemPanel";
import { text } from "@/text";

import { LetterState } from "./LetterState";

const { deadLetters: words } = text.fleet;
const ZONE = "UTC";

interface Props {
  letter: DeadLetter;
  onDismiss: () => void;
  onClose: () => void;
}

/** A record that could not be charged, as it came; an open one can be judged once more, or dismissed. */
export function LetterDrawer({ letter, onDismiss, onClose }: Props) {
  const queryClient = useQueryClient();
  const again = useMutation({
    mutationFn: () => redrive({ ids: [letter.id] }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["fleet", "dead-letters"] }),
  });
  const { topic, partition, offset } = letter.source;
  const result = again.data?.results[0];
  const isOpen = letter.state === "open" && result?.outcome !== "posted";
  return (
    <Dialog kind="drawer" title={words.title1} onClose={onClose}>
      <p className="row">
        <Badge tone="danger" icon="alert">
          {letter.reason.replaceAll("_", " ")}
        </Badge>
        {letter.state === undefined ? null : <LetterState letter={letter} />}
      </p>
      <p>{letter.detail}</p>
      <p className="muted small">
        {letter.step} {"\u00b7"} {text.activity.detail.sourceText(topic, partition, offset)}
      </p>
      {letter.redrive ? <LastTry redrive={letter.redrive} /> : null}
      {isOpen ? (
        <div className="stack-tight">
          <p className="muted small">{words.againText}</p>
          <div className="row">
            <Button variant="primary" size="small" busy={again.isPending} onClick={() => again.mutate()}>
              {words.again}
            </Button>
            <Button size="small" disabled={again.isPending} onClick={onDismiss}>
              {words.dismiss}
            </Button>
          </div>
        </div>
      ) : null}
      <div role="status">
        {result === undefined ? null : (
          <p>
            <strong>{words.outcomes[result.outcome] ?? result.outcome}</strong> {result.detail ?? ""}
          </p>
        )}
      </div>
      {again.error === null ? null : <ProblemPanel error={again.error} />}
      {letter.payload_text ? null : <p className="muted small">{words.binary}</p>}
      <pre className="payload">{pretty(letter)}</pre>
    </Dialog>
  );
}

function LastTry({ redrive: last }: { redrive: NonNullable<DeadLetter["redrive"]> }) {
  return (
    <p className="small">
      {last.outcome === "dismissed" ? null : `${words.last}: `}
      <strong>{words.outcomes[last.outcome] ?? last.outcome}</strong>,{" "}
      <Instant at={last.at} zone={ZONE} /> {last.by ? words.by(last.by) : null}
      {last.note ? <span> {words.said(last.note)}</span> : null}
      {last.detail ? <span className="muted"> {last.detail}</span> : null}
      {last.entry_id ? <span className="muted"> {words.entry(last.entry_id)}</span> : null}
    </p>
  );
}

function pretty(letter: DeadLetter): string {
  if (!letter.payload_text) return letter.payload_base64;
  try {
    return JSON.stringify(JSON.parse(letter.payload_text), null, 2);
  } catch {
    return letter.payload_text;
  }
}
