import { useState, type ReactNode } from "react";

import { Button, buttonClass } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { formatMoney } from "@/format";
import { text } from "@/text";

import type { PurchaseEvent, PurchaseState } from "./machine";
import { answerAction, isSandboxAction } from "./send";

const { buy } = text.billing;

interface Props {
  state: PurchaseState;
  currency: string;
  dispatch: (event: PurchaseEvent) => void;
  onClose: () => void;
}

/** Everything after the confirmation: under way, what the bank asks, and how it ended. */
export function PurchaseOutcome({ state, currency, dispatch, onClose }: Props) {
  switch (state.step) {
    case "processing":
      return (
        <Outcome step="processing" title={buy.processing} icon={<span className="spinner" />}>
          <p className="muted small">{buy.processingDetail}</p>
          {state.tries > 0 ? <p className="muted small">{buy.processingAgain(state.tries)}</p> : null}
        </Outcome>
      );
    case "needs_action":
      return (
        <NeedsAction
          url={state.actionUrl}
          sandbox={state.sandbox}
          leavable={state.purchaseId !== undefined}
          dispatch={dispatch}
        />
      );
    case "unknown":
      return (
        <Outcome step="unknown" title={buy.unknown} icon={<Icon name="clock" size={24} />}>
          {state.reason === undefined ? null : <p className="small">{reasonText(state.reason)}</p>}
          <p className="muted small">{buy.unknownDetail}</p>
          <Button variant="primary" autoFocus onClick={() => dispatch({ type: "resend" })}>
            {buy.askAgain}
          </Button>
        </Outcome>
      );
    case "earlier":
      return (
        <Outcome step="earlier" title={buy.earlier(formatMoney({ amount: state.attempt.amount, currency }))} icon={<Icon name="clock" size={24} />}>
          <p className="muted small">{buy.earlierDetail}</p>
          <Button variant="primary" autoFocus onClick={() => dispatch({ type: "resend" })}>
            {buy.lookAgain}
          </Button>
        </Outcome>
      );
    case "succeeded":
      return (
        <Outcome step="succeeded" title={buy.succeeded(formatMoney(state.amount))} icon={<Icon name="check" size={24} />}>
          {state.balance === null ? null : <p className="tabular">{buy.newBalance(formatMoney(state.balance))}</p>}
          {state.sandbox ? <p className="muted small">{buy.sandbox}</p> : null}
          <Button variant="primary" autoFocus onClick={onClose}>
            {buy.done}
          </Button>
        </Outcome>
      );
    case "failed":
      return (
        <Outcome step="failed" title={buy.failed} icon={<Icon name="alert" size={24} />}>
          <p className="small">{reasonText(state.reason)}</p>
          <p className="muted small">{buy.failedDetails[state.reason] ?? buy.failedDetail}</p>
          {state.requestId === undefined ? null : (
            <p className="state-id">
              {text.common.requestId} <code>{state.requestId}</code>
            </p>
          )}
          <div className="row">
            <Button onClick={onClose}>{text.common.close}</Button>
            <Button variant="primary" autoFocus onClick={() => dispatch({ type: "retry" })}>
              {buy.tryAgain}
            </Button>
          </div>
        </Outcome>
      );
    default:
      return null;
  }
}

function reasonText(reason: string): string {
  return buy.reasons[reason] ?? reason.replaceAll("_", " ");
}

interface OutcomeProps {
  step: PurchaseState["step"];
  title: string;
  icon: ReactNode;
  children: ReactNode;
}

function Outcome({ step, title, icon, children }: OutcomeProps) {
  return (
    <div className={`buy-outcome buy-outcome-${step}`} role={step === "failed" ? "alert" : "status"} data-step={step}>
      <span className="buy-outcome-icon">{icon}</span>
      <p className="buy-outcome-title">{title}</p>
      {children}
    </div>
  );
}

interface NeedsActionProps {
  url: string;
  sandbox: boolean;
  leavable: boolean;
  dispatch: (event: PurchaseEvent) => void;
}

function NeedsAction({ url, sandbox, leavable, dispatch }: NeedsActionProps) {
  const [busy, setBusy] = useState<boolean | null>(null);
  const answer = (approve: boolean) => {
    setBusy(approve);
    // Whatever comes of it, the repeated purchase tells.
    void answerAction(url, approve)
      .catch(() => undefined)
      .then(() => dispatch({ type: "resend" }));
  };
  return (
    <Outcome step="needs_action" title={buy.needsAction} icon={<Icon name="info" size={24} />}>
      <p className="muted small">{sandbox ? buy.needsActionSandbox : buy.needsActionDetail}</p>
      {isSandboxAction(url) ? (
        <div className="row">
          <Button busy={busy === false} disabled={busy !== null} onClick={() => answer(false)}>
            {buy.decline}
          </Button>
          <Button variant="primary" autoFocus busy={busy === true} disabled={busy !== null} onClick={() => answer(true)}>
            {buy.approve}
          </Button>
        </div>
      ) : (
        <div className="row">
          <a className={buttonClass("plain")} href={url} target="_blank" rel="noreferrer">
            {buy.openBank}
            <Icon name="external" size={15} />
          </a>
          <Button variant="primary" onClick={() => dispatch({ type: "resend" })}>
            {buy.continue}
          </Button>
        </div>
      )}
      {leavable ? (
        <Button disabled={busy !== null} onClick={() => dispatch({ type: "leave" })}>
          {buy.leave}
        </Button>
      ) : null}
    </Outcome>
  );
}
