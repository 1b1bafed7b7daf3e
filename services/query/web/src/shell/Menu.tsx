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
const FLEET: Item = { to: "/fleet", icon: "fleet", label: menu.fleet };

export function Menu({ isAdmin, onNavigate }: { isAdmin: boolean; onNavigate: () => void }) {
  const items = isAdmin ? [...ITEMS, FLEET] : ITEMS;
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
