import { formatCount, formatMoney, placesFor } from "@/format";
import { text } from "@/text";
import type { DonutData } from "./donut-data";
import { shareText } from "./share";

interface Props {
  readonly data: DonutData;
  readonly currency: string;
  readonly caption: string;
}

/** The ring's data as a table: each part of the whole by itself, also those that the ring has no room for. */
export function DonutTable({ data, currency, caption }: Props) {
  const places = placesFor([data.total, ...data.slices.map((slice) => slice.amount)].map((amount) => ({ amount, currency })));
  const money = (amount: string): string => formatMoney({ amount, currency }, { places });
  const { columns, donut } = text.charts;
  return (
    <div className="tl-table-scroll" tabIndex={0} role="region" aria-label={caption}>
      <table className="tl-table">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{donut.part}</th>
            <th scope="col">{columns.activities}</th>
            <th scope="col">{columns.amount}</th>
            <th scope="col">{donut.share}</th>
          </tr>
        </thead>
        <tbody>
          {data.slices.map((slice) => (
            <tr key={slice.key}>
              <th scope="row">{slice.label}</th>
              <td>{formatCount(slice.count)}</td>
              <td>{money(slice.amount)}</td>
              <td>{shareText(slice.share)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{donut.total}</th>
            <td>{formatCount(data.count)}</td>
            <td>{money(data.total)}</td>
            <td />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}
