import type { EventUsage, Money } from "@/api/types";
import { formatCount, formatMoney, placesFor } from "@/format";
import { text } from "@/text";

import type { ServiceLine } from "./describe";

const { breakdown } = text.events;
const percent = new Intl.NumberFormat("en-US", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

interface Props {
  readonly lines: readonly ServiceLine[];
  readonly total: EventUsage["total"];
  readonly currency: string;
}

/** Usage by service; what was not used stays listed, faintly. */
export function Breakdown({ lines, total, currency }: Props) {
  const money = (amount: string): Money => ({ amount, currency });
  const places = placesFor([total.amount, ...lines.map((line) => money(line.amount))]);
  return (
    <div className="table-scroll">
      <table className="breakdown breakdown-usage" data-testid="breakdown">
        <caption className="visually-hidden">{breakdown.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{breakdown.service}</th>
            <th scope="col">{breakdown.activities}</th>
            <th scope="col">{breakdown.failed}</th>
            <th scope="col">{breakdown.credits}</th>
            <th scope="col">{breakdown.share}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <tr
              key={line.key}
              data-service={line.key}
              className={line.count + line.failed === 0 ? "is-unused" : undefined}
            >
              <th scope="row">
                {line.name}
                {line.engines.length > 0 && <small>{line.engines.join(", ")}</small>}
              </th>
              <td>{formatCount(line.count)}</td>
              <td>{formatCount(line.failed)}</td>
              <td>{formatMoney(money(line.amount), { places })}</td>
              <td>{percent.format(line.share / 1000)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{breakdown.total}</th>
            <td>{formatCount(total.count)}</td>
            <td>{formatCount(total.failed)}</td>
            <td>{formatMoney(total.amount, { places })}</td>
            <td />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}
