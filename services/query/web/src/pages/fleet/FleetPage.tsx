import { usePageTitle } from "@/components/usePageTitle";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { AccountsPanel } from "./AccountsPanel";
import { DeadLettersPanel } from "./DeadLettersPanel";
import "./fleet.css";
import { SpendPanel } from "./SpendPanel";

const { fleet } = text;

/** All accounts of the installation; for administrators. */
export default function FleetPage() {
  usePageTitle(fleet.title);
  return (
    <AdminOnly icon="fleet" title={fleet.adminOnly} hint={fleet.adminOnlyText}>
      <Fleet />
    </AdminOnly>
  );
}

function Fleet() {
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>{fleet.title}</h1>
          <p className="muted">{fleet.intro}</p>
        </div>
      </header>
      <SpendPanel />
      <AccountsPanel />
      <DeadLettersPanel />
    </div>
  );
}
