import type { RepricingResult } from "@/api/contract";
import { formatCount } from "@/format";
import { text } from "@/text";

const { progress: words, columns, stays, leftOut } = text.repricings;
const SHOWN_MAX = 50;

/** Charges that changed since they were seen, and why nothing was posted for them. */
export function LeftOutTable({ results }: { results: readonly RepricingResult[] }) {
  const more = results.length - SHOWN_MAX;
  return (
    <div className="stack-tight">
      <p className="form-problem">{words.leftOut(formatCount(results.length), results.length === 1)}</p>
      <div className="data-scroll" role="region" aria-label={words.leftOutCaption} tabIndex={0}>
        <table className="data">
          <caption className="visually-hidden">{words.leftOutCaption}</caption>
          <thead>
            <tr>
              <th scope="col">{words.entry}</th>
              <th scope="col">{columns.reason}</th>
              <th scope="col">{stays.means}</th>
            </tr>
          </thead>
          <tbody>
            {results.slice(0, SHOWN_MAX).map(({ entry_id, reason = "", detail }) => (
              <tr key={entry_id}>
                <td className="mono">{entry_id}</td>
                <td>{leftOut[reason]?.label ?? reason}</td>
                <td className="muted" title={detail}>
                  {leftOut[reason]?.text ?? detail}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more > 0 ? <p className="muted small">{words.more(formatCount(more))}</p> : null}
    </div>
  );
}
