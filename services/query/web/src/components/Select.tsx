import { useId, type SelectHTMLAttributes } from "react";

import "./field.css";
import { Icon } from "./Icon";

export interface SelectOption {
  value: string;
  label: string;
}

export interface SelectProps extends Omit<SelectHTMLAttributes<HTMLSelectElement>, "onChange"> {
  label: string;
  hideLabel?: boolean;
  options: readonly SelectOption[];
  onChange: (value: string) => void;
}

export function Select({ label, hideLabel = false, options, onChange, ...rest }: SelectProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id} className={hideLabel ? "visually-hidden" : "field-label"}>
        {label}
      </label>
      <div className="select">
        <select {...rest} id={id} className="input" onChange={(event) => onChange(event.target.value)}>
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
        <Icon name="chevron" size={15} />
      </div>
    </div>
  );
}
