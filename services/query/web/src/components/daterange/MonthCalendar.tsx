import { parseDate, type DateValue } from "@internationalized/date";
import {
  Button,
  CalendarCell,
  CalendarGrid,
  CalendarGridBody,
  CalendarGridHeader,
  CalendarHeaderCell,
  Heading,
  I18nProvider,
  RangeCalendar,
} from "react-aria-components";

import { text } from "@/text";

import { isDay, rangeError } from "./period";

interface Props {
  readonly first: string;
  readonly last: string;
  readonly max: string;
  readonly onChange: (range: { first: string; last: string }) => void;
}

// The library puts a style of its own into the page, which the content security policy refuses, unless an element has this
// id. What that style says stands in daterange.css.
const STYLE_ID = "react-aria-pressable-style";

/** A month to pick both days from. It knows calendar days only: which instants they are is the zone's matter. */
export default function MonthCalendar({ first, last, max, onChange }: Props) {
  const value =
    isDay(first) && isDay(last) && rangeError(first, last) !== "reversed"
      ? { start: parseDate(first), end: parseDate(last) }
      : null;
  return (
    <div id={STYLE_ID}>
      <I18nProvider locale="en-US">
        <RangeCalendar<DateValue>
          className="month"
          aria-label={text.daterange.dialog}
          value={value}
          defaultFocusedValue={parseDate(isDay(last) ? last : max)}
          maxValue={parseDate(max)}
          onChange={(range) => {
            onChange({ first: range.start.toString(), last: range.end.toString() });
          }}
        >
          <header className="month-head">
            <Button slot="previous" aria-label={text.daterange.previousMonth}>
              <Chevron path="M10 3 5 8l5 5" />
            </Button>
            <Heading level={3} />
            <Button slot="next" aria-label={text.daterange.nextMonth}>
              <Chevron path="m6 3 5 5-5 5" />
            </Button>
          </header>
          <CalendarGrid weekdayStyle="short">
            <CalendarGridHeader>{(day) => <CalendarHeaderCell>{day}</CalendarHeaderCell>}</CalendarGridHeader>
            <CalendarGridBody>{(date) => <CalendarCell date={date} />}</CalendarGridBody>
          </CalendarGrid>
        </RangeCalendar>
      </I18nProvider>
    </div>
  );
}

function Chevron({ path }: { readonly path: string }) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      aria-hidden="true"
    >
      <path d={path} strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
