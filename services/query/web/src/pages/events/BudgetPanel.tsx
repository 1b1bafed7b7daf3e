import type { EventListed } from "@/api/types";
import { BudgetBar } from "@/charts/BudgetBar";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { text } from "@/text";

const { budget } = text.events;

/** The event's spend against its budget. */
export function BudgetPanel({ event }: { readonly event: EventListed }) {
  return (
    <Panel title={budget.title}>
      {event.budget ? (
        <BudgetBar budget={event.budget.amount} spent={event.budget.spent} policy={event.budget.policy} />
      ) : (
        <EmptyState icon="billing" title={budget.none}>
          {budget.noneText}
        </EmptyState>
      )}
    </Panel>
  );
}
