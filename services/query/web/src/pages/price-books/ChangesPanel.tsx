import { useMemo } from "react";

import type { PriceBook } from "@/api/types";
import { Panel } from "@/components/Panel";
import { formatCount } from "@/format";
import { text } from "@/text";

import { changesBetween, type Change } from "./changes";

const { editor: words } = text.priceBooks;

/** What a draft changes of the book it was begun from. */
export function ChangesPanel({ before, after }: { before: PriceBook; after: PriceBook }) {
  const changes = useMemo(() => changesOrNone(before, after), [before, after]);
  if (changes === null) return null;
  return (
    <Panel
      title={words.changes}
      note={words.changesNote(changes.length === 0 ? null : formatCount(changes.length), String(before.version))}
      flush
    >
      {changes.length === 0 ? (
        <p className="muted small changes-none">{words.noChanges}</p>
      ) : (
        <div className="data-scroll" role="region" aria-label={words.changeCaption} tabIndex={0}>
          <table className="data">
            <caption className="visually-hidden">{words.changeCaption}</caption>
            <thead>
              <tr>
                <th scope="col">{words.row}</th>
                <th scope="col">{words.plan}</th>
                <th scope="col">{words.before}</th>
                <th scope="col">{words.after}</th>
              </tr>
            </thead>
            <tbody>
              {changes.map((change) => (
                <tr key={change.key}>
                  <td>{change.row}</td>
                  <td>{change.plan}</td>
                  <td className="muted">{change.before ?? words.added}</td>
                  <td className="changes-after">{change.after ?? words.removed}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

// A document under way may lack what is compared: there is nothing to say of it yet.
function changesOrNone(before: PriceBook, after: PriceBook): Change[] | null {
  try {
    return changesBetween(before, after);
  } catch {
    return null;
  }
}
