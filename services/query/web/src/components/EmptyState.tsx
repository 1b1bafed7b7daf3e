import type { ReactNode } from "react";

import { Icon, type IconName } from "./Icon";
import "./states.css";

export interface EmptyStateProps {
  icon?: IconName;
  title: string;
  /** Where it stands in for the whole page: its title is the page's. */
  page?: boolean;
  /** One line, for what is well and needs no room. */
  compact?: boolean;
  children?: ReactNode;
  actions?: ReactNode;
}

export function EmptyState({ icon = "info", title, page = false, compact = false, children, actions }: EmptyStateProps) {
  return (
    <div className={`state ${compact ? "state-compact" : ""}`}>
      <span className="state-icon">
        <Icon name={icon} />
      </span>
      {page ? <h1 className="state-title">{title}</h1> : <p className="state-title">{title}</p>}
      {children === undefined ? null : <div className="state-text">{children}</div>}
      {actions === undefined ? null : <div className="state-actions">{actions}</div>}
    </div>
  );
}
