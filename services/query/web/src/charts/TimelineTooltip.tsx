import { changePerMille, formatMoney, formatPerMille, toMicro } from "@/format";
import { text } from "@/text";
import { blockLabel } from "./labels";
import { lineColour, lineDash, type PlottedSeries, type PointValue } from "./series";
import type { Accumulation, BucketSize, ChartBucket, Measure } from "./types";

export interface TooltipContent {
  readonly index: number;
  readonly plotted: readonly PlottedSeries[];
  readonly measure: Measure;
  readonly accumulation: Accumulation;
  readonly size: BucketSize;
  readonly zone: string;
  readonly currency: string;
}

/** The title of a block: what it is, and that it is not over. */
export function blockTitle({ plotted, index, accumulation, size, zone }: TooltipContent): string {
  const main = plotted[0];
  const bucket = main?.series.buckets[index];
  if (!main || !bucket) return "";
  const block = blockLabel(bucket, size, zone);
  const name = accumulation === "cumulative" ? text.charts.upTo(block) : block;
  return index === main.partialIndex ? `${name}, ${text.charts.soFar}` : name;
}

function valueText(value: PointValue, measure: Measure, currency: string): string {
  return measure === "count"
    ? text.charts.activities(value.count)
    : formatMoney({ amount: value.amount, currency }, { places: "exact" });
}

/** One point in words, for the live region and the marks of the chart. */
export function pointText(content: TooltipContent, series: number): string {
  const item = content.plotted[series];
  const value = item?.values[content.index];
  if (!item || !value) return "";
  const dollars = formatMoney({ amount: value.amount, currency: content.currency }, { places: "exact" });
  const parts = [
    content.plotted.length > 1 ? item.series.label : "",
    series === 0 ? blockTitle(content) : otherBlock(item.series.buckets[content.index], content),
    text.charts.activities(value.count),
    dollars,
    value.failures > 0 ? text.charts.failed(value.failures) : "",
  ];
  return parts.filter(Boolean).join(", ");
}

function otherBlock(bucket: ChartBucket | undefined, { size, zone }: TooltipContent): string {
  return bucket ? blockLabel(bucket, size, zone) : "";
}

function change(content: TooltipContent): string | null {
  const compare = content.plotted.find((item) => item.series.role === "compare");
  const now = content.plotted[0]?.values[content.index];
  const before = compare?.values[content.index];
  if (!now || !before || content.index === content.plotted[0]?.partialIndex) return null;
  const exact = (value: PointValue): bigint =>
    content.measure === "count" ? BigInt(value.count) : toMicro(value.amount);
  const perMille = changePerMille(exact(now), exact(before));
  if (perMille === null) return null;
  if (perMille === 0) return text.charts.change.same;
  const percent = formatPerMille(Math.abs(perMille));
  return perMille > 0 ? text.charts.change.up(percent) : text.charts.change.down(percent);
}

/** What the box says: the precise number of the block, its dollars, failures, and every other line at the same place. */
export function TimelineTooltip(content: TooltipContent) {
  const { plotted, index, measure, currency } = content;
  const main = plotted[0]?.values[index];
  const difference = change(content);
  return (
    <div className="tl-box-body">
      <p className="tl-box-title">{blockTitle(content)}</p>
      {main && (
        <>
          <p className="tl-box-value">{valueText(main, measure, currency)}</p>
          <p className="tl-box-note">
            {valueText(main, measure === "count" ? "amount" : "count", currency)}
            {main.failures > 0 && ` · ${text.charts.failed(main.failures)}`}
          </p>
        </>
      )}
      {plotted.length > 1 && (
        <ul className="tl-box-list">
          {plotted.slice(1).map((item) => (
            <OtherLine key={item.series.key} item={item} content={content} />
          ))}
        </ul>
      )}
      {difference && <p className="tl-box-note">{difference}</p>}
    </div>
  );
}

function OtherLine({ item, content }: { readonly item: PlottedSeries; readonly content: TooltipContent }) {
  const value = item.values[content.index];
  if (!value) return null;
  const label =
    item.series.role === "compare" ? otherBlock(item.series.buckets[content.index], content) : item.series.label;
  return (
    <li>
      <LineKey colour={lineColour(item.series)} dash={lineDash(item.series)} />
      <span>{label}</span>
      <span className="tl-box-number">{valueText(value, content.measure, content.currency)}</span>
    </li>
  );
}

/** A piece of the line, to know it again in box and legend. */
export function LineKey({ colour, dash }: { readonly colour: string; readonly dash: string | undefined }) {
  return (
    <svg className="tl-key" width="18" height="8" viewBox="0 0 18 8" aria-hidden="true" focusable="false">
      <line x1="1" x2="17" y1="4" y2="4" stroke={colour} strokeDasharray={dash} strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}
