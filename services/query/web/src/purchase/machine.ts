import type { PurchaseAnswer } from "@/api/contract";
import type { ApiProblem } from "@/api/problem";
import type { Money } from "@/api/types";

// Buying credits, as states and what leads from one to the next. The idempotency key is made when the purchase is
// confirmed and belongs to this purchase until it ends: whatever is lost in between, the same request is sent again, and
// the money is taken once.

export interface Attempt {
  key: string;
  amount: string;
  paymentMethod?: string;
}

export type PurchaseState =
  | { step: "idle" }
  | { step: "confirm"; amount: string }
  | { step: "processing"; attempt: Attempt; tries: number }
  | { step: "needs_action"; attempt: Attempt; actionUrl: string; sandbox: boolean }
  /** No answer: whether the money was taken is not known, and the same request will tell. */
  | { step: "unknown"; attempt: Attempt }
  | { step: "succeeded"; amount: Money; balance: Money | null; seq: number | null; sandbox: boolean }
  | { step: "failed"; attempt: Attempt; reason: string; requestId?: string | undefined };

export type PurchaseEvent =
  | { type: "ask"; amount: string }
  | { type: "confirm"; key: string; paymentMethod?: string }
  | { type: "answered"; answer: PurchaseAnswer; currency: string }
  | { type: "problem"; problem: ApiProblem }
  | { type: "resend" }
  | { type: "retry" }
  | { type: "close" };

export const TRIES_MAX = 6;

/** Whether the state may be left without losing track of money that is on its way. */
export function isClosable(state: PurchaseState): boolean {
  return state.step !== "processing";
}

export function attemptOf(state: PurchaseState): Attempt | null {
  return "attempt" in state ? state.attempt : null;
}

export function purchase(state: PurchaseState, event: PurchaseEvent): PurchaseState {
  switch (event.type) {
    case "ask":
      return state.step === "idle" || state.step === "succeeded" || state.step === "failed"
        ? { step: "confirm", amount: event.amount }
        : state;
    case "confirm":
      return state.step === "confirm" ? begin(state.amount, event) : state;
    case "answered":
      return state.step === "processing" ? answered(state, event.answer, event.currency) : state;
    case "problem":
      return state.step === "processing" ? refused(state, event.problem) : state;
    case "resend":
      return state.step === "unknown" || state.step === "needs_action"
        ? { step: "processing", attempt: state.attempt, tries: 0 }
        : state;
    case "retry":
      // What failed for good is over: it is asked anew, with another card if wanted, and gets another key.
      return state.step === "failed" ? { step: "confirm", amount: state.attempt.amount } : state;
    case "close":
      return isClosable(state) ? { step: "idle" } : state;
  }
}

function begin(amount: string, event: { key: string; paymentMethod?: string }): PurchaseState {
  const attempt: Attempt = { key: event.key, amount };
  if (event.paymentMethod !== undefined) attempt.paymentMethod = event.paymentMethod;
  return { step: "processing", attempt, tries: 0 };
}

type Processing = Extract<PurchaseState, { step: "processing" }>;

function answered(state: Processing, answer: PurchaseAnswer, currency: string): PurchaseState {
  const sandbox = answer.sandbox === true;
  if (answer.status === "succeeded") {
    const amount = answer.amount ?? { amount: state.attempt.amount, currency };
    return { step: "succeeded", amount, balance: answer.balance ?? null, seq: answer.seq ?? null, sandbox };
  }
  if (answer.status === "needs_action" && answer.next_action !== undefined) {
    return { step: "needs_action", attempt: state.attempt, actionUrl: answer.next_action.url, sandbox };
  }
  return again(state);
}

function refused(state: Processing, problem: ApiProblem): PurchaseState {
  if (problem.isTransient || problem.status === 408 || (problem.status === 409 && problem.code === "conflict")) {
    return again(state);
  }
  const reason = typeof problem.body.reason === "string" ? problem.body.reason : problem.code;
  return { step: "failed", attempt: state.attempt, reason, requestId: problem.requestId };
}

// Pending, unreachable, overloaded: the same request again, until patience ends.
function again(state: Processing): PurchaseState {
  return state.tries + 1 < TRIES_MAX
    ? { ...state, tries: state.tries + 1 }
    : { step: "unknown", attempt: state.attempt };
}
