import { useId, type ReactNode } from "react";

import { ErrorBoundary } from "./ErrorBoundary";
import "./panel.css";

export interface PanelProps {
  title: ReactNode;
  /** A few words beside the title: the zone, "as of". */
  note?: ReactNode;
  actions?: ReactNode;
  /** The body touches the edges: for tables. */
  flush?: boolean;
  className?: string;
  children: ReactNode;
}

/** A part of a page that stands, loads and fails alone. */
export function Panel({ title, note, actions, flush = false, className = "", children }: PanelProps) {
  const id = useId();
  return (
    <section className={`panel ${flush ? "panel-flush" : ""} ${className}`} aria-labelledby={id}>
      <header className="panel-head">
        <div className="panel-title">
          <h2 id={id}>{title}</h2>
          {note === undefined ? null : <span className="panel-note">{note}</span>}
        </div>
        {actions === undefined ? null : <div className="panel-actions">{actions}</div>}
      </header>
      <div className="panel-body">
        <ErrorBoundary>{children}</ErrorBoundary>
      </div>
    </section>
  );
}
