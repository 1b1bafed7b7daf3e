import { useId, useMemo, useState } from "react";
import { text } from "@/text";
import "./charts.css";
import { download, timelineCsv } from "./csv";
import { layoutPlot, xTickIndices, type Margin, type Plot } from "./geometry";
import { pageOf, type Extent } from "./keyboard";
import { axisLabel, hourTickIndices, tickLabel } from "./labels";
import { plotSeries, type PlottedSeries } from "./series";
import { takeaway } from "./takeaway";
import { TimelineCursor } from "./TimelineCursor";
import { TimelineLegend } from "./TimelineLegend";
import { TimelineMarks } from "./TimelineMarks";
import { TimelineTable } from "./TimelineTable";
import { blockTitle, pointText, TimelineTooltip, type TooltipContent } from "./TimelineTooltip";
import type { Accumulation, BucketSize, ChartBucket, ChartSeries, Measure } from "./types";
import { useChartCursor } from "./useChartCursor";
import { useWidth } from "./useSize";

export interface TimelineChartProps {
  /** The first is the one the chart is about; the others are compared with it or parts of it. */
  readonly series: readonly ChartSeries[];
  readonly size: BucketSize;
  readonly measure: Measure;
  readonly accumulation?: Accumulation;
  /** IANA zone of the blocks. */
  readonly zone: string;
  readonly currency: string;
  /** What the chart is called: "Activity timeline". */
  readonly label: string;
  readonly height?: number;
  /** Opens a block. Without it, blocks cannot be opened. */
  readonly onDrill?: ((bucket: ChartBucket) => void) | undefined;
  /** Name of the CSV file, without ending. */
  readonly fileName?: string;
}

const HEIGHT_PX = 280;
// Below this width the box stands under the chart: beside a finger it would be hidden.
const PINNED_BELOW_PX = 520;
const LABEL_PX: Readonly<Record<BucketSize, number>> = { "15m": 68, hour: 58, day: 68, week: 68, month: 48, year: 56 };
const TICK_CHAR_PX = 7;

function marginFor(plotted: readonly PlottedSeries[], currency: string | null): Margin {
  const top = Math.max(1, ...plotted.map(({ values }) => values.reduce((max, { number }) => Math.max(max, number), 0)));
  const widest = Math.max(tickLabel(top, currency).length, tickLabel(top / 4, currency).length, 2);
  return { top: 16, right: 12, bottom: 30, left: 14 + widest * TICK_CHAR_PX };
}

/**
 * A line over blocks of time, for eyes, fingers, keys and screen readers: one tab stop, the box on hover, focus and tap,
 * the same values as a table and as CSV.
 */
export function TimelineChart(props: TimelineChartProps) {
  const { series, size, measure, accumulation = "bucket", zone, currency, label, fileName = "timeline" } = props;
  const id = useId();
  const [asTable, setAsTable] = useState(false);
  const plotted = useMemo(
    () => series.map((item) => plotSeries(item, measure, accumulation)),
    [series, measure, accumulation],
  );
  const caption = useMemo(
    () => takeaway({ buckets: series[0]?.buckets ?? [], measure, size, zone, currency }),
    [series, measure, size, zone, currency],
  );
  return (
    <figure className="tl" aria-labelledby={`${id}-caption`}>
      {asTable ? (
        <TimelineTable plotted={plotted} size={size} zone={zone} currency={currency} caption={`${label}. ${caption}`} />
      ) : (
        <TimelinePlot {...props} accumulation={accumulation} plotted={plotted} id={id} caption={caption} />
      )}
      {series.length > 1 && !asTable && <TimelineLegend series={series} />}
      <div className="tl-foot">
        <figcaption id={`${id}-caption`}>
          <span className="visually-hidden">{label}. </span>
          {caption}
        </figcaption>
        <span className="tl-actions">
          <button
            type="button"
            className="chart-text-button"
            onClick={() => {
              setAsTable(!asTable);
            }}
          >
            {asTable ? text.charts.showChart : text.charts.showTable}
          </button>
          {asTable && (
            <button
              type="button"
              className="chart-text-button"
              onClick={() => {
                download(`${fileName}.csv`, "text/csv;charset=utf-8", timelineCsv(plotted, currency));
              }}
            >
              {text.charts.downloadCsv}
            </button>
          )}
        </span>
      </div>
    </figure>
  );
}

interface PlotProps extends TimelineChartProps {
  readonly accumulation: Accumulation;
  readonly plotted: readonly PlottedSeries[];
  readonly id: string;
  readonly caption: string;
}

function TimelinePlot(props: PlotProps) {
  const { plotted, size, measure, zone, currency, label, id, onDrill, caption, height = HEIGHT_PX } = props;
  const [ref, width] = useWidth<HTMLDivElement>();
  const tickCurrency = measure === "amount" ? currency : null;
  const plot = useMemo(
    () => layoutPlot(plotted, { width, height }, marginFor(plotted, tickCurrency), measure === "count"),
    [plotted, width, height, tickCurrency, measure],
  );
  const extent: Extent = useMemo(
    () => ({ lengths: plotted.map(({ values }) => values.length), page: pageOf(size) }),
    [plotted, size],
  );
  const main = useMemo(() => plotted[0]?.series.buckets ?? [], [plotted]);
  const open = (index: number) => {
    const bucket = main[index];
    if (bucket) onDrill?.(bucket);
  };
  const { cursor, spoken, keyboard, pointer, close } = useChartCursor({ plot, extent, onOpen: onDrill && open });
  const index = Math.min(cursor.index, (extent.lengths[cursor.series] ?? 0) - 1);
  const shown = cursor.open && index >= 0;
  const content: TooltipContent = { ...props, index };
  const marks = useMemo(
    () => ({
      tickText: (value: number) => tickLabel(value, tickCurrency),
      slotText: (slot: number) => {
        const bucket = main[slot] ?? plotted.find(({ series }) => series.buckets[slot])?.series.buckets[slot];
        return bucket ? axisLabel(bucket, size, zone) : "";
      },
      slotTicks: (room: number) =>
        size === "hour"
          ? hourTickIndices(main, zone, room, LABEL_PX.hour)
          : xTickIndices(plot.slots, room, LABEL_PX[size]),
    }),
    [tickCurrency, main, plotted, plot.slots, size, zone],
  );
  return (
    <div
      className="tl-frame"
      ref={ref}
      data-pinned={width > 0 && width < PINNED_BELOW_PX}
      onPointerLeave={(event) => {
        // A finger that is lifted leaves as well; its box stays until the next tap or Escape.
        if (event.pointerType === "mouse") close();
      }}
    >
      <div
        className="tl-focus"
        role="application"
        aria-roledescription={text.charts.chartRole}
        aria-label={`${label}. ${caption}`}
        aria-describedby={`${id}-keys`}
        tabIndex={0}
        style={{ height }}
        {...keyboard}
      >
        {width > 0 && (
          <svg width={width} height={height} aria-hidden="true" focusable="false">
            <TimelineMarks plot={plot} plotted={plotted} id={id} slotWidth={LABEL_PX[size]} {...marks} />
            {shown && <TimelineCursor plot={plot} plotted={plotted} index={index} activeSeries={cursor.series} />}
            <rect className={onDrill ? "tl-hit tl-hit-open" : "tl-hit"} width={width} height={height} {...pointer} />
          </svg>
        )}
      </div>
      <p id={`${id}-keys`} hidden>
        {text.charts.keys(plotted.length > 1, onDrill !== undefined)}
      </p>
      {shown && <Box content={content} plot={plot} open={onDrill && open} />}
      <p className="visually-hidden" aria-live="polite">
        {shown && spoken ? pointText(content, cursor.series) : ""}
      </p>
    </div>
  );
}

interface BoxProps {
  readonly content: TooltipContent;
  readonly plot: Plot;
  readonly open: ((index: number) => void) | undefined;
}

/** The box beside the block, on the side with more room; under the chart where there is none. */
function Box({ content, plot, open }: BoxProps) {
  const x = plot.x(content.index);
  const right = x < plot.width * 0.6;
  return (
    <div
      className="tl-box"
      data-testid="chart-box"
      style={right ? { left: x + 14 } : { right: plot.width - x + 14 }}
      aria-hidden={open === undefined}
    >
      <TimelineTooltip {...content} />
      {open && (
        <button
          type="button"
          className="chart-text-button tl-box-open"
          aria-label={`${text.charts.open[content.size]}: ${blockTitle(content)}`}
          tabIndex={-1}
          onClick={() => {
            open(content.index);
          }}
        >
          {text.charts.open[content.size]}
        </button>
      )}
    </div>
  );
}
