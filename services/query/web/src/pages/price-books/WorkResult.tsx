import type { PricedWork } from "@/api/queries/price-books";
import type { PriceBook } from "@/api/types";
import { MoneyText } from "@/components/MoneyText";
import { formatMoney, placesFor } from "@/format";
import { calculationText } from "@/ledger/calculation";
import { text } from "@/text";

import { lessOf } from "./simulate-draft";
import type { WorkAnswer } from "./WorkForm";

const { work: words } = text.priceBooks;

interface Props {
  answer: WorkAnswer;
  book: PriceBook;
  isDraft: boolean;
  present: PriceBook | null;
}

/** The charge by each of the two books, how it comes about, and what lies between. */
export function WorkResult({ answer, book, isDraft, present }: Props) {
  const { work, mine, present: other } = answer;
  const version = String(book.version);
  const difference =
    other && "amount" in other && "amount" in mine ? lessOf(mine.amount, other.amount) : null;
  // The difference needs no more places than the two it lies between.
  const places = placesFor([mine, other].flatMap((one) => (one && "amount" in one ? [one.amount] : [])));
  return (
    <>
      <div className="data-scroll" role="region" aria-label={words.caption} tabIndex={0}>
        <table className="data simulate-result">
          <caption className="visually-hidden">{words.caption}</caption>
          <thead>
            <tr>
              <th scope="col">{words.book}</th>
              <th scope="col">{words.price}</th>
              <th scope="col" className="num">
                {words.charge}
              </th>
            </tr>
          </thead>
          <tbody>
            {other && present !== null ? (
              <Row name={words.present(String(present.version))} priced={other} work={work} places={places} />
            ) : null}
            <Row name={isDraft ? words.draft(version) : words.this(version)} priced={mine} work={work} places={places} />
          </tbody>
          {difference === null ? null : (
            <tfoot>
              <tr>
                <th scope="row" colSpan={2}>
                  {words.difference}
                </th>
                <td className="num">{formatMoney(difference, { places, signed: true })}</td>
              </tr>
            </tfoot>
          )}
        </table>
      </div>
      {other === undefined ? <p className="muted small">{words.same}</p> : null}
      {other === null ? <p className="muted small">{words.noPresent}</p> : null}
    </>
  );
}

interface RowProps {
  name: string;
  priced: PricedWork;
  work: WorkAnswer["work"];
  places: number;
}

function Row({ name, priced, work, places }: RowProps) {
  if (!("amount" in priced)) {
    return (
      <tr>
        <th scope="row">{name}</th>
        <td className="muted">{words.reasons[priced.noCharge] ?? priced.noCharge}</td>
        <td className="num">{words.noPrice}</td>
      </tr>
    );
  }
  return (
    <tr>
      <th scope="row">{name}</th>
      <td className="muted">{calculationText({ ...priced, ...work })}</td>
      <td className="num">
        <MoneyText money={priced.amount} places={places} />
      </td>
    </tr>
  );
}
