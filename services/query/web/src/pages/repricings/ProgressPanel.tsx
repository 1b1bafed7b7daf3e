import type { Repricing } from "@/api/contract";
import type { Way } from "@/api/queries/repricings";
import { Button } from "@/components/Button";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { ProblemPanel } from "@/components/ProblemPanel";
import { addMoney, formatCount } from "@/format";
import { text } from "@/text";

import { LeftOutTable } from "./LeftOutTable";
import type { RunState } from "./useRun";

const { progress: words } = text.repricings;

/** How far it is, what was left out on the way, and why it is done at all. */
export function ProgressPanel({ repricing, run }: { repricing: Repricing; run: RunState }) {
  const { state, changes, applied, undone, reason, undo_reason } = repricing;
  const way: Way = run.way ?? (state === "undoing" || state === "undone" ? "undo" : "apply");
  const [done, all] = way === "apply" ? [applied, changes] : [undone, applied];
  const shown = words.of[way](formatCount(done), formatCount(all));
  const posted = repricing.accounts.map((account) => account.posted).reduce(addMoney, nothingOf(repricing));
  return (
    <Panel
      title={words.title}
      actions={
        run.isRunning ? (
          <Button size="small" busy={run.isStopping} onClick={run.stop}>
            {run.isStopping ? words.stopping : words.stop}
          </Button>
        ) : null
      }
    >
      <div className="stack">
        <div className="stack-tight">
          <div className="repricing-line">
            <strong>{shown}</strong>
            <span className="muted small">
              {words.posted} <MoneyText money={posted} signed />
            </span>
          </div>
          <div
            className="repricing-track"
            role="progressbar"
            aria-label={words.label[way]}
            aria-valuemin={0}
            aria-valuemax={all}
            aria-valuenow={Math.min(done, all)}
            aria-valuetext={shown}
          >
            <div className="repricing-fill" style={{ width: `${String(all === 0 ? 0 : Math.min(100, (done / all) * 100))}%` }} />
          </div>
          <p role="status" className="muted small">
            {said(run, way)}
          </p>
        </div>
        {run.error === null ? null : (
          <div>
            <ProblemPanel error={run.error} />
            <p className="muted small repricing-centre">{words.interrupted}</p>
          </div>
        )}
        {run.leftOut.length === 0 ? null : <LeftOutTable results={run.leftOut} />}
        {reason === undefined && undo_reason === undefined ? null : (
          <dl className="repricing-reasons">
            {reason === undefined ? null : <Reason label={words.appliedFor} reason={reason} />}
            {undo_reason === undefined ? null : <Reason label={words.undoneFor} reason={undo_reason} />}
          </dl>
        )}
      </div>
    </Panel>
  );
}

function Reason({ label, reason }: { label: string; reason: string }) {
  return (
    <div>
      <dt className="muted small">{label}</dt>
      <dd>{reason}</dd>
    </div>
  );
}

function said(run: RunState, way: Way): string | null {
  if (run.isWaiting) return words.waiting;
  if (run.isRunning) return words.running;
  if (run.ending === "done") return words.complete[way];
  return run.ending === "stopped" ? words.stopped : null;
}

function nothingOf({ accounts }: Repricing) {
  return { amount: "0.00", currency: accounts[0]?.posted.currency ?? "USD" };
}
