import { useRef, useState } from "react";

import { Button } from "@/components/Button";
import { lastDays } from "@/components/daterange/period";
import { RangePicker } from "@/components/daterange/RangePicker";
import { useDismiss } from "@/components/daterange/useDismiss";
import { Icon } from "@/components/Icon";
import { text } from "@/text";

import { rangeName } from "./describe";
import type { Filters } from "./filters";

const { activity } = text;
const DEFAULT_DAYS = 30;

interface Props {
  from: string | null;
  to: string | null;
  zone: string;
  onChange: (part: Partial<Filters>) => void;
}

export function DateFilter({ from, to, zone, onChange }: Props) {
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLDivElement>(null);
  const chosen = from !== null || to !== null;

  // The focus goes back to what opened the picker.
  const leave = () => {
    setOpen(false);
    button.current?.querySelector("button")?.focus();
  };
  useDismiss(frame, open, (byKey) => (byKey ? leave() : setOpen(false)));
  const preset = lastDays(DEFAULT_DAYS, zone, new Date());
  const fallback = preset.kind === "dates" ? preset : { first: "", last: "" };
  return (
    <div className="filter-dates field" ref={frame}>
      <span className="field-label" id="date-filter-label">
        {activity.dates}
      </span>
      <div ref={button}>
        <Button
          aria-haspopup="dialog"
          aria-expanded={open}
          aria-label={`${activity.dates}: ${chosen ? rangeName(from, to) : activity.anyDate}`}
          onClick={() => setOpen(!open)}
        >
          <span className="filter-dates-text">{chosen ? rangeName(from, to) : activity.anyDate}</span>
          <Icon name="chevron" size={15} />
        </Button>
      </div>
      {open ? (
        <RangePicker
          first={from ?? to ?? fallback.first}
          last={to ?? from ?? fallback.last}
          zone={zone}
          onCancel={leave}
          onApply={(first, last) => {
            leave();
            onChange({ from: first, to: last });
          }}
        />
      ) : null}
    </div>
  );
}
