import { useId, useRef, useState } from "react";

import { formatCalendarDate } from "@/format";
import { text } from "@/text";

import "./daterange.css";
import { lastDays, type Period, type PeriodKind } from "./period";
import { RangePicker } from "./RangePicker";
import { useDismiss } from "./useDismiss";

export interface PeriodControlProps {
  readonly period: Period;
  readonly onChange: (period: Period) => void;
  /** IANA zone whose days are meant. */
  readonly zone: string;
  /** Adds the toggle of the event's own time, as the first. */
  readonly withEvent?: boolean;
}

const DEFAULT_DAYS = 7;

/** `May 3 – May 9, 2026`; both years where they differ. */
export function rangeText(first: string, last: string): string {
  if (first === last) return formatCalendarDate(first);
  return `${formatCalendarDate(first, first.slice(0, 4) !== last.slice(0, 4))} \u2013 ${formatCalendarDate(last)}`;
}

/** The toggles of every chart: radio buttons, so that arrow keys and screen readers know them. */
export function PeriodControl({ period, onChange, zone, withEvent = false }: PeriodControlProps) {
  const name = useId();
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useDismiss(frame, open, (byKey) => {
    setOpen(false);
    if (byKey) button.current?.focus();
  });
  const kinds: PeriodKind[] = withEvent ? ["event", "year", "month", "dates"] : ["year", "month", "dates"];

  function choose(kind: PeriodKind) {
    setOpen(kind === "dates");
    if (kind === "dates") {
      if (period.kind !== "dates") onChange(lastDays(DEFAULT_DAYS, zone, new Date()));
    } else {
      onChange({ kind });
    }
  }

  const range = period.kind === "dates" ? rangeText(period.first, period.last) : null;
  return (
    <div className="period" ref={frame}>
      <div className="period-toggles" role="radiogroup" aria-label={text.daterange.label}>
        {kinds.map((kind) => (
          <label key={kind} className="period-toggle">
            <input
              type="radio"
              name={name}
              value={kind}
              checked={period.kind === kind}
              onChange={() => {
                choose(kind);
              }}
            />
            <span>{text.daterange[kind]}</span>
          </label>
        ))}
      </div>
      {range !== null && (
        <button
          ref={button}
          type="button"
          className="period-range"
          aria-haspopup="dialog"
          aria-expanded={open}
          aria-label={text.daterange.change(range)}
          onClick={() => {
            setOpen(!open);
          }}
        >
          <CalendarIcon />
          {range}
        </button>
      )}
      {open && period.kind === "dates" && (
        <RangePicker
          first={period.first}
          last={period.last}
          zone={zone}
          onCancel={() => {
            setOpen(false);
            button.current?.focus();
          }}
          onApply={(first, last) => {
            setOpen(false);
            button.current?.focus();
            onChange({ kind: "dates", first, last });
          }}
        />
      )}
    </div>
  );
}

function CalendarIcon() {
  return (
    <svg
      width="14"
      height="14"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      aria-hidden="true"
    >
      <rect x="2" y="3" width="12" height="11" rx="2" />
      <path d="M2 6.5h12M5 1.5V4M11 1.5V4" strokeLinecap="round" />
    </svg>
  );
}
