import { lazy, Suspense, useEffect, useId, useRef, useState } from "react";

import { zoneCity } from "@/format";
import { text } from "@/text";

import { presets, rangeError, todayIn, type RangeError } from "./period";

interface Props {
  readonly first: string;
  readonly last: string;
  readonly zone: string;
  readonly onApply: (first: string, last: string) => void;
  readonly onCancel: () => void;
}

// The calendar is the heaviest thing of the page and only for those who open it with a mouse or keys.
const MonthCalendar = lazy(() => import("./MonthCalendar"));

// A finger gets the system's own date picker, which it knows.
function coarsePointer(): boolean {
  return matchMedia("(pointer: coarse)").matches;
}

/** Two days, both inclusive: typed, picked from a calendar, or by a shortcut. */
export function RangePicker({ first, last, zone, onApply, onCancel }: Props) {
  const id = useId();
  const [draft, setDraft] = useState({ first, last });
  const [error, setError] = useState<RangeError | null>(null);
  const dialog = useRef<HTMLFormElement>(null);
  const [calendar] = useState(() => !coarsePointer());
  const today = todayIn(zone, new Date()).toString();

  // Shown whole, also when the control stands low on the page.
  useEffect(() => {
    dialog.current?.scrollIntoView({ block: "nearest" });
  }, []);

  const change = (next: { first: string; last: string }) => {
    setDraft(next);
    setError(null);
  };

  return (
    <form
      ref={dialog}
      className="range"
      role="dialog"
      aria-label={text.daterange.dialog}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const found = rangeError(draft.first, draft.last);
        setError(found);
        if (found === null) onApply(draft.first, draft.last);
      }}
    >
      <div className="range-main">
        <ul className="range-presets" aria-label={text.daterange.presets}>
          {presets(zone, new Date()).map((preset) => (
            <li key={preset.label}>
              <button
                type="button"
                aria-pressed={preset.first === draft.first && preset.last === draft.last}
                onClick={() => {
                  change(preset);
                }}
              >
                {preset.label}
              </button>
            </li>
          ))}
        </ul>
        <div className="range-days">
          <div className="range-inputs">
            <DayInput
              label={text.daterange.first}
              value={draft.first}
              max={today}
              invalid={error !== null}
              describedBy={`${id}-error`}
              onChange={(value) => {
                change({ ...draft, first: value });
              }}
            />
            <DayInput
              label={text.daterange.last}
              value={draft.last}
              max={today}
              invalid={error !== null}
              describedBy={`${id}-error`}
              onChange={(value) => {
                change({ ...draft, last: value });
              }}
            />
          </div>
          {calendar && (
            <Suspense fallback={<div className="month-space" aria-busy="true" />}>
              <MonthCalendar first={draft.first} last={draft.last} max={today} onChange={change} />
            </Suspense>
          )}
        </div>
      </div>
      <p className="range-error" id={`${id}-error`} role="alert">
        {error !== null && text.daterange.errors[error]}
      </p>
      <div className="range-foot">
        <span>{text.daterange.zone(text.common.zone(zoneCity(zone)))}</span>
        <button type="button" className="range-cancel" onClick={onCancel}>
          {text.daterange.cancel}
        </button>
        <button type="submit" className="range-apply">
          {text.daterange.apply}
        </button>
      </div>
    </form>
  );
}

interface DayInputProps {
  readonly label: string;
  readonly value: string;
  readonly max: string;
  readonly invalid: boolean;
  readonly describedBy: string;
  readonly onChange: (value: string) => void;
}

function DayInput({ label, value, max, invalid, describedBy, onChange }: DayInputProps) {
  return (
    <label className="range-field">
      <span>{label}</span>
      <input
        type="date"
        value={value}
        max={max}
        aria-invalid={invalid}
        aria-describedby={describedBy}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
    </label>
  );
}
