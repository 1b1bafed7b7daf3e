import type { ReactNode } from "react";
import { Link } from "react-router";

import "./back-link.css";
import { Icon } from "./Icon";

/** Above a page's title: the page that it belongs to. */
export function BackLink({ to, children }: { to: string; children: ReactNode }) {
  return (
    <Link to={to} className="back-link">
      <Icon name="chevron" size={16} />
      {children}
    </Link>
  );
}
