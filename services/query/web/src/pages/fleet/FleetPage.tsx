import { Navigate } from "react-router";

import { EmptyState } from "@/components/EmptyState";
import { usePageTitle } from "@/components/usePageTitle";
import { useOptionalSession } from "@/session/context";
import { text } from "@/text";

import { AccountsPanel } from "./AccountsPanel";
import { BooksPanel } from "./BooksPanel";
import { DeadLettersPanel } from "./DeadLettersPanel";
import "./fleet.css";
import { SpendPanel } from "./SpendPanel";

const { fleet } = text;

/** All accounts of the installation; for administrators. */
export default function FleetPage() {
  usePageTitle(fleet.title);
  const session = useOptionalSession();
  if (session === null) return <Navigate to="/sign-in" replace state={{ from: "/fleet" }} />;
  if (!session.isAdmin) {
    return (
      <EmptyState icon="fleet" title={fleet.adminOnly}>
        {fleet.adminOnlyText}
      </EmptyState>
    );
  }
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
      <BooksPanel />
    </div>
  );
}
