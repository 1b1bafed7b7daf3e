import { useMemo } from "react";

import type { RepricingPreview } from "@/api/contract";
import { Badge } from "@/components/Badge";
import { Panel } from "@/components/Panel";
import { formatCount } from "@/format";
import { text } from "@/text";

import { stayingOf } from "./lines";

const { stays: words, leftOut } = text.repricings;

/** Charges that are not priced anew, by why, with what can be done about them. */
export function StaysPanel({ preview }: { preview: RepricingPreview }) {
  const staying = useMemo(() => stayingOf(preview.accounts.flatMap(({ lines }) => lines)), [preview]);
  if (staying.length === 0) return null;
  const open = staying.reduce((sum, { count, isFine }) => (isFine ? sum : sum + count), 0);
  return (
    <Panel title={words.title} note={open === 0 ? words.fine : words.note(formatCount(open))} flush>
      <div className="data-scroll" role="region" aria-label={words.caption} tabIndex={0}>
        <table className="data">
          <caption className="visually-hidden">{words.caption}</caption>
          <thead>
            <tr>
              <th scope="col">{words.reason}</th>
              <th scope="col" className="num">
                {words.count}
              </th>
              <th scope="col">{words.means}</th>
            </tr>
          </thead>
          <tbody>
            {staying.map(({ reason, count, isFine }) => (
              <tr key={reason}>
                <td>
                  <Badge {...(isFine ? { tone: "neutral" } : { tone: "warning", icon: "alert" })}>
                    {leftOut[reason]?.label ?? reason.replaceAll("_", " ")}
                  </Badge>
                </td>
                <td className="num">{formatCount(count)}</td>
                <td className="muted repricing-means">{leftOut[reason]?.text}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
