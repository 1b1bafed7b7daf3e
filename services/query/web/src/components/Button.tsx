import type { ButtonHTMLAttributes } from "react";

import "./button.css";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  variant?: "primary" | "plain" | "quiet" | "danger";
  size?: "normal" | "small";
  /** Under way: shows a spinner and takes no clicks, but keeps the focus. */
  busy?: boolean;
  iconOnly?: boolean;
}

export function buttonClass(variant = "plain", size = "normal", iconOnly = false, extra = ""): string {
  return [
    "button",
    `button-${variant}`,
    size === "small" ? "button-small" : "",
    iconOnly ? "button-icon" : "",
    extra,
  ]
    .filter(Boolean)
    .join(" ");
}

export function Button(props: ButtonProps) {
  const { variant, size, busy = false, iconOnly, className, children, onClick, type = "button", ...rest } = props;
  return (
    <button
      {...rest}
      type={type}
      className={buttonClass(variant, size, iconOnly, className)}
      aria-disabled={busy || undefined}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : null}
      {children}
    </button>
  );
}
