import type { ReactNode } from "react";

import { Icon, type IconName } from "./Icon";
import "./badge.css";

export interface BadgeProps {
  tone?: "neutral" | "success" | "danger" | "warning" | "info";
  icon?: IconName;
  title?: string;
  children: ReactNode;
}

export function Badge({ tone = "neutral", icon, title, children }: BadgeProps) {
  return (
    <span className={`badge badge-${tone}`} title={title}>
      {icon === undefined ? null : <Icon name={icon} size={12} />}
      {children}
    </span>
  );
}
