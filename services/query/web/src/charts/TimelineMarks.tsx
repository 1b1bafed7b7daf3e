import { memo } from "react";
import { seriesPaths, type Plot } from "./geometry";
import { lineColour, lineDash, type PlottedSeries } from "./series";

interface Props {
  readonly plot: Plot;
  readonly plotted: readonly PlottedSeries[];
  /** Unique in the document: gradients and patterns are named by it. */
  readonly id: string;
  readonly tickText: (value: number) => string;
  readonly slotText: (index: number) => string;
  /** Blocks that get a label, in so many pixels. */
  readonly slotTicks: (room: number) => readonly number[];
  readonly slotWidth: number;
}

/** Grid, axes and lines. Drawn anew when data or size change, not when the cursor moves. */
export const TimelineMarks = memo(function TimelineMarks(props: Props) {
  const { plot, plotted, id } = props;
  return (
    <>
      <Definitions id={id} />
      <Grid {...props} />
      {plotted.map((item) => (
        <SeriesMark key={item.series.key} item={item} plot={plot} id={id} />
      ))}
    </>
  );
});

function Definitions({ id }: { readonly id: string }) {
  return (
    <defs>
      <linearGradient id={`${id}-fade`} x1="0" y1="0" x2="0" y2="1">
        <stop offset="0%" className="tl-fade-top" />
        <stop offset="100%" className="tl-fade-bottom" />
      </linearGradient>
      <pattern id={`${id}-hatch`} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <line x1="0" y1="0" x2="0" y2="6" className="tl-hatch" />
      </pattern>
    </defs>
  );
}

function Grid({ plot, tickText, slotText, slotTicks, slotWidth }: Props) {
  const { margin, width, height } = plot;
  const labels = slotTicks(width - margin.left - margin.right);
  const anchor = (x: number): "start" | "middle" | "end" => {
    if (x + slotWidth / 2 > width) return "end";
    return x < slotWidth / 2 ? "start" : "middle";
  };
  return (
    <g aria-hidden="true">
      {plot.yTicks.map((tick) => (
        <g key={tick}>
          <line
            className={tick === 0 ? "tl-base" : "tl-grid"}
            x1={margin.left}
            x2={width - margin.right}
            y1={plot.y(tick)}
            y2={plot.y(tick)}
          />
          <text className="tl-label" x={margin.left - 10} y={plot.y(tick)} dy="0.32em" textAnchor="end">
            {tickText(tick)}
          </text>
        </g>
      ))}
      {labels.map((index) => {
        const x = plot.x(index);
        return (
          <text key={index} className="tl-label" x={x} y={height - 6} textAnchor={anchor(x)}>
            {slotText(index)}
          </text>
        );
      })}
    </g>
  );
}

interface MarkProps {
  readonly item: PlottedSeries;
  readonly plot: Plot;
  readonly id: string;
}

function SeriesMark({ item, plot, id }: MarkProps) {
  const { series, values, partialIndex } = item;
  const paths = seriesPaths(item, plot);
  const colour = lineColour(series);
  const last = values[partialIndex];
  const dense = values.length > plot.width * 2;
  return (
    <g className={`tl-series tl-${series.role} ${dense ? "tl-dense" : ""}`} data-series={series.key}>
      {series.role === "main" && (
        <>
          {/* Below a dense line the fade would be a hundred stripes, one behind the other. */}
          {!dense && <path d={paths.area} fill={`url(#${id}-fade)`} />}
          <path d={paths.partialArea} fill={`url(#${id}-hatch)`} />
        </>
      )}
      <path className="tl-line" d={paths.line} stroke={colour} strokeDasharray={lineDash(series)} />
      <path className="tl-line tl-partial" d={paths.partialLine} stroke={colour} strokeDasharray="3 4" />
      {last && series.role !== "compare" && (
        <circle className="tl-open-end" cx={plot.x(partialIndex)} cy={plot.y(last.number)} r={3.5} stroke={colour} />
      )}
    </g>
  );
}
