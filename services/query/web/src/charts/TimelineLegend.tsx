import { text } from "@/text";
import { lineColour, lineDash } from "./series";
import { LineKey } from "./TimelineTooltip";
import type { ChartSeries } from "./types";

/** Which line is which, by colour and dashes. */
export function TimelineLegend({ series }: { readonly series: readonly ChartSeries[] }) {
  return (
    <ul className="tl-legend" aria-label={text.charts.lineOf}>
      {series.map((item) => (
        <li key={item.key}>
          <LineKey colour={lineColour(item)} dash={lineDash(item)} />
          {item.label}
        </li>
      ))}
    </ul>
  );
}
