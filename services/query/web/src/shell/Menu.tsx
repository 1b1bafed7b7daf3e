import { NavLink } from "react-router";

import { Icon, type IconName } from "@/components/Icon";
import { text } from "@/text";

interface Item {
  to: string;
  icon: IconName;
  label: string;
}

const { menu } = text.common;

const ITEMS: readonly Item[] = [
  { to: "/", icon: "dashboard", label: menu.dashboard },
  { to: "/events", icon: "events", label: menu.events },
  { to: "/activity", icon: "activity", label: menu.activity },
  { to: "/pricing", icon: "pricing", label: menu.pricing },
  { to: "/billing", icon: "billing", label: menu.billing },
  { to: "/settings", icon: "settings", label: menu.settings },
];
// What everybody may see.
const PUBLIC: readonly Item[] = ITEMS.filter((item) => item.to === "/pricing");
const ADMIN: readonly Item[] = [
  { to: "/fleet", icon: "fleet", label: menu.fleet },
  { to: "/price-books", icon: "book", label: menu.priceBooks },
  { to: "/repricings", icon: "repeat", label: menu.repricings },
];

interface MenuProps {
  kind: "account" | "admin" | null;
  onNavigate: () => void;
}

export function Menu({ kind, onNavigate }: MenuProps) {
  const items = kind === null ? PUBLIC : kind === "admin" ? [...ITEMS, ...ADMIN] : ITEMS;
  return (
    <nav aria-label={menu.label}>
      <ul className="shell-menu">
        {items.map((item) => (
          <li key={item.to}>
            <NavLink to={item.to} end={item.to === "/"} className="shell-link" onClick={onNavigate}>
              <Icon name={item.icon} />
              {item.label}
            </NavLink>
          </li>
        ))}
      </ul>
    </nav>
  );
}
