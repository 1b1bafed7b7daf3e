import { useRef } from "react";

import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { TextField } from "@/components/TextField";
import { text } from "@/text";

const { form } = text.alerts;

interface Props {
  legend: string;
  hint: string;
  lines: readonly string[];
  errors: readonly (string | undefined)[];
  /** What is wrong with the list as a whole. */
  problem: string | undefined;
  linesMax: number;
  prefix?: string;
  /** Behind the field. */
  unit?: string;
  lineLabel: (index: string) => string;
  addLabel: string;
  inputMode: "decimal" | "numeric";
  onChange: (lines: readonly string[]) => void;
}

/** A short list of amounts or percents: lines are added, changed and removed. */
export function MarksField(props: Props) {
  const { legend, hint, lines, errors, problem, linesMax, prefix, unit, lineLabel, addLabel, inputMode, onChange } = props;
  const box = useRef<HTMLFieldSetElement>(null);
  const change = (index: number, value: string): void => onChange(lines.map((line, at) => (at === index ? value : line)));
  const remove = (index: number): void => {
    onChange(lines.filter((_, at) => at !== index));
    // The button that had the focus is gone.
    box.current?.querySelector<HTMLElement>(".marks-add")?.focus();
  };
  return (
    <fieldset className="marks" ref={box}>
      <legend className="field-label">{legend}</legend>
      <div className="marks-lines">
        {lines.map((line, index) => {
          const label = lineLabel(String(index + 1));
          return (
            <div className="marks-line" key={index}>
              <TextField
                label={`${legend}: ${label}`}
                hideLabel
                inputMode={inputMode}
                autoComplete="off"
                {...(prefix === undefined ? {} : { prefix })}
                value={line}
                error={errors[index]}
                onChange={(event) => change(index, event.target.value)}
              />
              {unit === undefined ? null : (
                <span className="marks-unit muted" aria-hidden="true">
                  {unit}
                </span>
              )}
              <Button
                variant="quiet"
                iconOnly
                aria-label={form.remove(`${legend}: ${label}`)}
                onClick={() => remove(index)}
              >
                <Icon name="close" size={16} />
              </Button>
            </div>
          );
        })}
        <Button
          size="small"
          className="marks-add"
          disabled={lines.length >= linesMax}
          onClick={() => onChange([...lines, ""])}
        >
          {addLabel}
        </Button>
      </div>
      {problem === undefined ? null : (
        <p className="field-error" role="alert">
          <Icon name="alert" size={14} />
          {problem}
        </p>
      )}
      <p className="field-hint">{hint}</p>
    </fieldset>
  );
}
