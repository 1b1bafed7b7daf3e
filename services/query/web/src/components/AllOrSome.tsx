import { Icon } from "./Icon";
import { Segmented } from "./Segmented";
import "./field.css";

/** Null: all, also what is added later. */
export type Chosen = readonly string[] | null;

export interface AllOrSomeProps {
  label: string;
  all: string;
  some: string;
  options: readonly { readonly value: string; readonly label: string }[];
  chosen: Chosen;
  onChange: (chosen: Chosen) => void;
  error?: string | undefined;
}

/** Everything, or what is ticked; in the order of the options. */
export function AllOrSome({ label, all, some, options, chosen, onChange, error }: AllOrSomeProps) {
  const toggle = (value: string, on: boolean): void =>
    onChange(options.map((option) => option.value).filter((one) => (one === value ? on : chosen?.includes(one))));
  return (
    <>
      <Segmented
        label={label}
        value={chosen === null ? "all" : "some"}
        onChange={(mode) => onChange(mode === "all" ? null : [])}
        options={[
          { value: "all", label: all },
          { value: "some", label: some },
        ]}
      />
      {chosen === null ? null : (
        <fieldset className="check-list">
          <legend className="visually-hidden">{label}</legend>
          {options.map((option) => (
            <label className="check" key={option.value}>
              <input
                type="checkbox"
                checked={chosen.includes(option.value)}
                onChange={(event) => toggle(option.value, event.target.checked)}
              />
              <span>{option.label}</span>
            </label>
          ))}
        </fieldset>
      )}
      {error === undefined ? null : (
        <p className="field-error" role="alert">
          <Icon name="alert" size={14} />
          {error}
        </p>
      )}
    </>
  );
}
