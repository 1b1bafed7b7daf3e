import type { SimulationOfEngine, SimulationOfPeriod } from "@/api/types";
import { Badge } from "@/components/Badge";
import { EmptyState } from "@/components/EmptyState";
import { MoneyText } from "@/components/MoneyText";
import { formatCount, formatMoney, formatPerMille, isNegative, isZero, negate, zoneCity } from "@/format";
import { text } from "@/text";

import { changeOf } from "./simulate-draft";

const { period: words } = text.priceBooks;

/** What was charged, engine by engine, beside what it would be. */
export function PeriodResult({ result }: { result: SimulationOfPeriod }) {
  const { total } = result;
  if (total.count === 0) {
    return (
      <EmptyState icon="activity" title={words.empty}>
        {words.emptyText}
      </EmptyState>
    );
  }
  return (
    <div className="stack-tight">
      <p className="simulate-take">{takeaway(total)}</p>
      <div className="data-scroll" role="region" aria-label={words.caption} tabIndex={0}>
        <table className="data simulate-result">
          <caption className="visually-hidden">{words.caption}</caption>
          <thead>
            <tr>
              <th scope="col">{words.engine}</th>
              {[words.count, words.charged, words.wouldBe, words.difference].map((label) => (
                <th key={label} scope="col" className="num">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {result.engines.map((engine) => (
              <tr key={`${engine.service}/${engine.engine}`}>
                <th scope="row">
                  {engine.name} <Unpriced count={engine.unpriced} />
                </th>
                <Sums sums={engine} />
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">{words.total}</th>
              <Sums sums={total} />
            </tr>
          </tfoot>
        </table>
      </div>
      {total.unpriced === 0 ? null : <p className="form-problem">{words.unpricedText}</p>}
      <p className="muted small">{words.zone(text.common.zone(zoneCity(result.time_zone)))}</p>
    </div>
  );
}

function Sums({ sums }: { sums: Pick<SimulationOfEngine, "count" | "charged" | "would_be" | "difference"> }) {
  return (
    <>
      <td className="num">{formatCount(sums.count)}</td>
      <td className="num">
        <MoneyText money={sums.charged} />
      </td>
      <td className="num">
        <MoneyText money={sums.would_be} />
      </td>
      <td className="num">
        <MoneyText money={sums.difference} signed />
      </td>
    </>
  );
}

function Unpriced({ count }: { count: number }) {
  if (count === 0) return null;
  return (
    <Badge tone="danger" icon="alert">
      {words.unpriced(formatCount(count), count === 1)}
    </Badge>
  );
}

function takeaway(total: SimulationOfPeriod["total"]): string {
  if (isZero(total.difference)) return words.even;
  const change = changeOf(total);
  const percent = change === null ? null : formatPerMille(Math.abs(change));
  return isNegative(total.difference)
    ? words.cheaper(formatMoney(negate(total.difference)), percent)
    : words.dearer(formatMoney(total.difference), percent);
}
