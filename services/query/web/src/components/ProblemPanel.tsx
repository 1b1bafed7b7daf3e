import { ApiProblem, sentence } from "@/api/problem";
import { text } from "@/text";

import { Button } from "./Button";
import { Icon } from "./Icon";
import "./states.css";

/** What went wrong, in place of what would be here: the problem's words, Retry, and the id whoever helps will ask for. */
export function ProblemPanel({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const problem = error instanceof ApiProblem ? error : null;
  const missing = problem?.code === "not_json" || problem?.status === 405 || isUnknownRoute(problem);
  const unreachable = problem?.status === 0;
  const title = missing
    ? text.common.problem.unavailable
    : unreachable
      ? text.common.problem.unreachable
      : (problem?.title ?? text.common.problem.crashed);
  const detail = missing
    ? text.common.problem.unavailableDetail
    : unreachable
      ? text.common.problem.unreachableDetail
      : problem?.detail === undefined
        ? undefined
        : sentence(problem.detail);
  return (
    <div className={`state ${missing ? "" : "state-problem"}`} role={missing ? "status" : "alert"}>
      <span className="state-icon">
        <Icon name={missing ? "info" : "alert"} />
      </span>
      <p className="state-title">{title}</p>
      {detail === undefined ? null : <p className="state-text">{detail}</p>}
      {problem?.errors.map((item) => (
        <p className="state-text" key={item.pointer + item.detail}>
          <code>{item.pointer}</code> {item.detail}
        </p>
      ))}
      {missing || onRetry === undefined ? null : (
        <div className="state-actions">
          <Button size="small" onClick={onRetry}>
            {text.common.retry}
          </Button>
        </div>
      )}
      {missing || problem?.requestId === undefined ? null : (
        <p className="state-id">
          {text.common.requestId} <code>{problem.requestId}</code>
        </p>
      )}
    </div>
  );
}

// A route the service does not have, as against a thing it does not know (`unknown_account`, `unknown_entry`).
function isUnknownRoute(problem: ApiProblem | null): boolean {
  return problem?.status === 404 && (problem.code === "not_found" || problem.code === "http_404");
}
