import { useState } from "react";

import type { EventListed } from "@/api/types";
import { BudgetBar } from "@/charts/BudgetBar";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { useSession } from "@/session/context";
import { text } from "@/text";

import { EventDialog } from "./edit/EventDialog";

const { budget, edit } = text.events;

/** The event's spend against its budget, which an administrator sets. */
export function BudgetPanel({ event }: { readonly event: EventListed }) {
  const { isAdmin } = useSession();
  const [editing, setEditing] = useState(false);
  const open = (label: string) => (
    <Button size="small" onClick={() => setEditing(true)}>
      {label}
    </Button>
  );
  return (
    <Panel title={budget.title} actions={isAdmin && event.budget ? open(edit.open) : undefined}>
      {event.budget ? (
        <BudgetBar budget={event.budget.amount} spent={event.budget.spent} policy={event.budget.policy} />
      ) : (
        <EmptyState icon="billing" title={budget.none} actions={isAdmin ? open(edit.budgetOpen) : undefined}>
          {isAdmin ? budget.noneText : budget.noneTextAccount}
        </EmptyState>
      )}
      {editing && (
        <EventDialog event={event} onClose={() => setEditing(false)} onSaved={() => setEditing(false)} />
      )}
    </Panel>
  );
}
