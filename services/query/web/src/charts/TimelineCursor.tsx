import type { Plot } from "./geometry";
import { lineColour, type PlottedSeries } from "./series";

interface Props {
  readonly plot: Plot;
  readonly plotted: readonly PlottedSeries[];
  readonly index: number;
  readonly activeSeries: number;
}

/** The line through the chosen block and a marker on every series that has a value there. */
export function TimelineCursor({ plot, plotted, index, activeSeries }: Props) {
  const x = plot.x(index);
  return (
    <g aria-hidden="true" className="tl-cursor">
      <line x1={x} x2={x} y1={plot.margin.top} y2={plot.height - plot.margin.bottom} />
      {plotted.map(({ series, values }, position) => {
        const value = values[index];
        if (!value) return null;
        return (
          <circle
            key={series.key}
            cx={x}
            cy={plot.y(value.number)}
            r={position === activeSeries ? 5 : 3.5}
            fill={lineColour(series)}
          />
        );
      })}
    </g>
  );
}
