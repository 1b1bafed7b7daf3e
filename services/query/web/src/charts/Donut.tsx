import { useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { arc, pie, type PieArcDatum } from "d3-shape";
import { formatMoney } from "@/format";
import { text } from "@/text";
import "./charts.css";
import { donutCsv, download } from "./csv";
import { paintOf, Swatch, TexturePattern } from "./engine-swatch";
import { donutData, nextSlice, type DonutData, type DonutItem, type Slice } from "./donut-data";
import { DonutTable } from "./DonutTable";
import { shareText } from "./share";

export interface DonutProps {
  readonly items: readonly DonutItem[];
  readonly currency: string;
  /** What the chart is called: "Credits Used". */
  readonly label: string;
  /** Where a legend row leads; none when it returns null. */
  readonly href?: ((slice: Slice) => string | null) | undefined;
  readonly onOpen?: ((href: string) => void) | undefined;
  /** Name of the CSV file, without ending. */
  readonly fileName?: string;
}

const SIZE_PX = 220;
const OUTER = 104;
const INNER = 70;

function sliceText(slice: Slice, currency: string): string {
  return text.charts.donut.slice(
    slice.label,
    formatMoney({ amount: slice.amount, currency }, { places: "exact" }),
    shareText(slice.share),
    text.charts.activities(slice.count),
  );
}

/** What the ring says, in a sentence: how much in all, and what most of it. */
function takeaway({ slices, total }: DonutData, currency: string): string {
  const [largest] = slices;
  if (largest === undefined) return "";
  const amount = formatMoney({ amount: total, currency }, { places: "exact" });
  return slices.length === 1
    ? text.charts.donut.single(amount, largest.label)
    : text.charts.donut.takeaway(amount, largest.label, shareText(largest.share));
}

/** Shares of a whole: the ring for the eye, the list for everybody, and all of it as a table and as CSV. */
export function Donut({ items, currency, label, href, onOpen, fileName = "credits" }: DonutProps) {
  const id = useId();
  const [asTable, setAsTable] = useState(false);
  const data = useMemo(() => donutData(items, text.charts.donut.other), [items]);
  const [active, setActive] = useState<string | null>(null);
  const whole = useMemo(() => donutData(items, text.charts.donut.other, Infinity), [items]);
  const shown = data.slices.find((slice) => slice.key === active);
  const caption = takeaway(data, currency);
  if (asTable && data.slices.length > 0) {
    return (
      <figure className="donut-frame" aria-labelledby={`${id}-caption`}>
        <DonutTable data={whole} currency={currency} caption={`${label}. ${caption}`} />
        <Foot id={id} label={label} caption={caption} asTable onTable={setAsTable}>
          <button
            type="button"
            className="chart-text-button"
            onClick={() => {
              download(`${fileName}.csv`, "text/csv;charset=utf-8", donutCsv(whole, currency));
            }}
          >
            {text.charts.downloadCsv}
          </button>
        </Foot>
      </figure>
    );
  }
  return (
    <figure className="donut-frame" aria-labelledby={`${id}-caption`}>
      <div className="donut">
        <Ring slices={data.slices} currency={currency} label={label} id={id} active={active} onActive={setActive}>
          <text className="donut-value" textAnchor="middle" dy="0.02em" data-testid="donut-total">
            {formatMoney({ amount: shown?.amount ?? data.total, currency })}
          </text>
          <text className="donut-note" textAnchor="middle" dy="1.75em">
            {shown ? shareText(shown.share) : text.charts.activities(data.count)}
          </text>
        </Ring>
        <Legend
          slices={data.slices}
          currency={currency}
          id={id}
          active={active}
          onActive={setActive}
          href={href}
          onOpen={onOpen}
        />
      </div>
      <Foot id={id} label={label} caption={caption} asTable={false} onTable={setAsTable} />
    </figure>
  );
}

interface FootProps {
  readonly id: string;
  readonly label: string;
  /** Empty: there is nothing to say, and no table of it. */
  readonly caption: string;
  readonly asTable: boolean;
  readonly onTable: (asTable: boolean) => void;
  readonly children?: React.ReactNode;
}

function Foot({ id, label, caption, asTable, onTable, children }: FootProps) {
  return (
    <div className="tl-foot donut-foot">
      <figcaption id={`${id}-caption`}>
        <span className="visually-hidden">{label}. </span>
        {caption}
      </figcaption>
      {caption === "" ? null : (
        <span className="tl-actions">
          <button
            type="button"
            className="chart-text-button"
            onClick={() => {
              onTable(!asTable);
            }}
          >
            {asTable ? text.charts.showChart : text.charts.showTable}
          </button>
          {children}
        </span>
      )}
    </div>
  );
}

interface RingProps {
  readonly slices: readonly Slice[];
  readonly currency: string;
  readonly label: string;
  readonly id: string;
  readonly active: string | null;
  readonly onActive: (key: string | null) => void;
  readonly children: React.ReactNode;
}

function Ring({ slices, currency, label, id, active, onActive, children }: RingProps) {
  const [stop, setStop] = useState(0);
  const ring = useRef<SVGGElement>(null);
  // Geometry alone may use numbers.
  const arcs = pie<Slice>()
    .sort(null)
    .value((slice) => Number(slice.amount))(slices.slice());
  const shape = arc<PieArcDatum<Slice>>().innerRadius(INNER).outerRadius(OUTER).cornerRadius(2).digits(2);

  function onKeyDown(event: KeyboardEvent, index: number) {
    if (event.key === "Escape") onActive(null);
    const next = nextSlice(index, event.key, slices.length);
    if (next === null) return;
    event.preventDefault();
    setStop(next);
    ring.current?.querySelectorAll<SVGPathElement>("[data-slice]")[next]?.focus();
  }

  return (
    <svg
      className="donut-ring"
      viewBox={`0 0 ${String(SIZE_PX)} ${String(SIZE_PX)}`}
      role="group"
      aria-label={`${label}. ${text.charts.donut.hint}`}
    >
      <defs>
        {slices.map((slice, index) => (
          <TexturePattern key={slice.key} id={`${id}-t${String(index)}`} look={slice.look} />
        ))}
      </defs>
      <g transform={`translate(${String(SIZE_PX / 2)} ${String(SIZE_PX / 2)})`} ref={ring}>
        {slices.length === 0 && <circle className="donut-empty" r={(OUTER + INNER) / 2} strokeWidth={OUTER - INNER} />}
        {arcs.map((datum, index) => (
          <path
            key={datum.data.key}
            data-slice={datum.data.key}
            className={active !== null && active !== datum.data.key ? "donut-slice is-dim" : "donut-slice"}
            d={shape(datum) ?? ""}
            fill={paintOf(datum.data.look, `${id}-t${String(index)}`)}
            role="img"
            aria-label={sliceText(datum.data, currency)}
            tabIndex={index === Math.min(stop, slices.length - 1) ? 0 : -1}
            onFocus={() => {
              setStop(index);
              onActive(datum.data.key);
            }}
            onBlur={() => {
              onActive(null);
            }}
            onPointerEnter={() => {
              onActive(datum.data.key);
            }}
            onPointerLeave={() => {
              onActive(null);
            }}
            onKeyDown={(event) => {
              onKeyDown(event, index);
            }}
          />
        ))}
        <g aria-hidden="true">{children}</g>
      </g>
    </svg>
  );
}

interface LegendProps extends Pick<DonutProps, "href" | "onOpen"> {
  readonly slices: readonly Slice[];
  readonly currency: string;
  readonly id: string;
  readonly active: string | null;
  readonly onActive: (key: string | null) => void;
}

function Legend({ slices, currency, id, active, onActive, href, onOpen }: LegendProps) {
  if (slices.length === 0) return <p className="donut-none">{text.charts.donut.empty}</p>;
  return (
    <ul className="donut-legend">
      {slices.map((slice, index) => {
        const address = href?.(slice) ?? null;
        const name =
          address === null ? (
            slice.label
          ) : (
            <a
              href={address}
              onClick={(event) => {
                if (!onOpen || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
                event.preventDefault();
                onOpen(address);
              }}
            >
              {slice.label}
            </a>
          );
        return (
          <li
            key={slice.key}
            className={active === slice.key ? "is-active" : undefined}
            title={slice.members.length > 0 ? slice.members.join(", ") : undefined}
            onPointerEnter={() => {
              onActive(slice.key);
            }}
            onPointerLeave={() => {
              onActive(null);
            }}
          >
            <Swatch id={`${id}-l${String(index)}`} look={slice.look} />
            <span className="donut-name">
              {name}
              <small>{text.charts.activities(slice.count)}</small>
            </span>
            <span className="donut-amount">{formatMoney({ amount: slice.amount, currency }, { places: "exact" })}</span>
            <span className="donut-share">{shareText(slice.share)}</span>
          </li>
        );
      })}
    </ul>
  );
}
