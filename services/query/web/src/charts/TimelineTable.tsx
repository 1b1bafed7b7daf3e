import { useState } from "react";
import { formatCount, formatMoney, placesFor, type MoneyStyle } from "@/format";
import { text } from "@/text";
import { blockLabel } from "./labels";
import type { PlottedSeries } from "./series";
import type { BucketSize } from "./types";

interface Props {
  readonly plotted: readonly PlottedSeries[];
  readonly size: BucketSize;
  readonly zone: string;
  readonly currency: string;
  readonly caption: string;
}

const ROWS_A_STEP = 100;

/** The chart's data as a table: the same values, to the last digit. */
export function TimelineTable({ plotted, size, zone, currency, caption }: Props) {
  const [shown, setShown] = useState(ROWS_A_STEP);
  const main = plotted[0];
  if (!main) return null;
  const rows = main.values.slice(0, shown);
  const rest = main.values.length - rows.length;
  const others = plotted.slice(1);
  const places = placesFor(main.values.map(({ amount }) => ({ amount, currency })));
  const money = (amount: string, style: MoneyStyle): string => formatMoney({ amount, currency }, style);
  return (
    <div className="tl-table-scroll" tabIndex={0} role="region" aria-label={caption}>
      <table className="tl-table">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{text.charts.block}</th>
            <th scope="col">{text.charts.columns.activities}</th>
            <th scope="col">{text.charts.columns.amount}</th>
            <th scope="col">{text.charts.columns.failed}</th>
            {others.map(({ series }) => (
              <th scope="col" key={series.key}>
                {series.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((value, index) => {
            const bucket = main.series.buckets[index];
            if (!bucket) return null;
            return (
              <tr key={bucket.start}>
                <th scope="row">
                  {blockLabel(bucket, size, zone)}
                  {index === main.partialIndex && <span className="tl-so-far"> {text.charts.soFar}</span>}
                </th>
                <td>{formatCount(value.count)}</td>
                <td>{money(value.amount, { places })}</td>
                <td>{formatCount(value.failures)}</td>
                {others.map(({ series, values }) => {
                  const other = values[index];
                  return (
                    <td key={series.key}>{other ? `${formatCount(other.count)} · ${money(other.amount, { places: "exact" })}` : "–"}</td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
      {rest > 0 && (
        <button
          type="button"
          className="chart-text-button"
          onClick={() => {
            setShown(shown + ROWS_A_STEP);
          }}
        >
          {text.charts.showMoreRows(Math.min(rest, ROWS_A_STEP))}
        </button>
      )}
    </div>
  );
}
