import { Link } from "react-router";

import type { Repricing } from "@/api/contract";
import type { Way } from "@/api/queries/repricings";
import { Button, buttonClass } from "@/components/Button";
import { text } from "@/text";

import type { RunState } from "./useRun";

const { repricings: words } = text;

interface Props {
  repricing: Repricing;
  run: RunState;
  /** Where the same is previewed once more. */
  again: string;
  /** Begins it, for a reason. */
  onAsk: (way: Way) => void;
  onGoOn: (way: Way) => void;
}

/** What can be done from where a re-pricing stands; while it runs, nothing else. */
export function Actions({ repricing, run, again, onAsk, onGoOn }: Props) {
  const { state, changes, applied } = repricing;
  if (run.isRunning) return null;
  return (
    <div className="row">
      <Link to={again} className={buttonClass()}>
        {words.lines.again}
      </Link>
      {state === "applying" || state === "applied" ? (
        <Button onClick={() => onAsk("undo")}>{words.undo.open}</Button>
      ) : null}
      {state === "previewed" && changes > 0 ? (
        <Button variant="primary" onClick={() => onAsk("apply")}>
          {words.apply.open}
        </Button>
      ) : null}
      {state === "applying" ? (
        <Button variant="primary" onClick={() => onGoOn("apply")}>
          {words.apply.goOn}
        </Button>
      ) : null}
      {state === "applied" && applied < changes ? (
        <Button onClick={() => onGoOn("apply")}>{words.apply.rest}</Button>
      ) : null}
      {state === "undoing" ? (
        <Button variant="primary" onClick={() => onGoOn("undo")}>
          {words.undo.goOn}
        </Button>
      ) : null}
    </div>
  );
}
