import { useId, type InputHTMLAttributes, type ReactNode, type Ref } from "react";

import { Icon } from "./Icon";
import "./field.css";

export interface TextFieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "prefix"> {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  prefix?: ReactNode;
  hideLabel?: boolean;
  inputRef?: Ref<HTMLInputElement>;
}

export function TextField(props: TextFieldProps) {
  const { label, hint, error, prefix, hideLabel = false, required, className = "", inputRef, ...rest } = props;
  const id = useId();
  const described = [error === undefined ? null : `${id}-error`, hint === undefined ? null : `${id}-hint`];
  const input = (
    <input
      {...rest}
      id={id}
      ref={inputRef}
      className={`input ${className}`}
      required={required}
      aria-invalid={error !== undefined || undefined}
      aria-describedby={described.filter(Boolean).join(" ") || undefined}
    />
  );
  return (
    <div className="field">
      <label htmlFor={id} className={hideLabel ? "visually-hidden" : "field-label"}>
        {label}
        {required ? <span className="field-required"> *</span> : null}
      </label>
      {prefix === undefined ? (
        input
      ) : (
        <div className={`input-affix ${typeof prefix === "string" && prefix.length === 1 ? "input-affix-short" : ""}`}>
          <span className="affix" aria-hidden="true">
            {prefix}
          </span>
          {input}
        </div>
      )}
      {error === undefined ? null : (
        <p id={`${id}-error`} className="field-error">
          <Icon name="alert" size={14} />
          {error}
        </p>
      )}
      {hint === undefined ? null : (
        <p id={`${id}-hint`} className="field-hint">
          {hint}
        </p>
      )}
    </div>
  );
}
