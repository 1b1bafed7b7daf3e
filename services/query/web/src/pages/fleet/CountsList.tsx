import { formatCount } from "@/format";
import { text } from "@/text";

import { totalOf, type Counts } from "./redrive-counts";

const { deadLetters: words } = text.fleet;

/** How many letters came to what, each by its name. */
export function CountsList({ counts, names }: { counts: Counts; names: Readonly<Record<string, string>> }) {
  if (totalOf(counts) === 0) return null;
  return (
    <ul className="notes">
      {Object.entries(counts).map(([outcome, count]) => (
        <li key={outcome}>{words.outcome(names[outcome] ?? outcome, formatCount(count))}</li>
      ))}
    </ul>
  );
}
