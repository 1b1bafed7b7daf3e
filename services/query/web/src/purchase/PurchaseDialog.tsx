import { Dialog } from "@/components/Dialog";
import { text } from "@/text";

import { isClosable, type PurchaseEvent, type PurchaseState } from "./machine";
import { PurchaseConfirm } from "./PurchaseConfirm";
import { PurchaseOutcome } from "./PurchaseOutcome";

export interface PurchaseDialogProps {
  state: PurchaseState;
  currency: string;
  dispatch: (event: PurchaseEvent) => void;
  onClose: () => void;
}

export function PurchaseDialog({ state, currency, dispatch, onClose }: PurchaseDialogProps) {
  return (
    <Dialog title={text.billing.buy.dialogTitle} closable={isClosable(state)} onClose={onClose}>
      {state.step === "confirm" ? (
        <PurchaseConfirm amount={state.amount} dispatch={dispatch} onClose={onClose} />
      ) : (
        <PurchaseOutcome state={state} currency={currency} dispatch={dispatch} onClose={onClose} />
      )}
    </Dialog>
  );
}
