import type { ReactNode } from "react";
import { Navigate, useLocation } from "react-router";

import { EmptyState } from "@/components/EmptyState";
import type { IconName } from "@/components/Icon";

import { useOptionalSession } from "./context";

interface Props {
  icon: IconName;
  title: string;
  hint: string;
  children: ReactNode;
}

/** A page of no account: for administrators; whoever is not signed in is asked to, others are told. */
export function AdminOnly({ icon, title, hint, children }: Props) {
  const session = useOptionalSession();
  const location = useLocation();
  if (session === null) {
    return <Navigate to="/sign-in" replace state={{ from: location.pathname + location.search }} />;
  }
  if (!session.isAdmin) {
    return (
      <EmptyState icon={icon} title={title}>
        {hint}
      </EmptyState>
    );
  }
  return children;
}
