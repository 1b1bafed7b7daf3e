import type { PurchaseAnswer } from "@/api/contract";
import type { ApiProblem } from "@/api/problem";
import type { Money } from "@/api/types";

// Buying credits, as states and what leads from one to the next. The idempotency key is made when the purchase is
// confirmed and belongs to this purchase until a final answer: whatever is lost in between, the same request is sent
// again, and the money is taken once. Closing the dialog before that puts the purchase aside and forgets nothing; no other
// one begins until it is known how this one ended.

export interface Attempt {
  key: string;
  amount: string;
  paymentMethod?: string;
}

export type PurchaseState =
  | { step: "idle" }
  | { step: "confirm"; amount: string }
  /** Unsure: an earlier try may have reached the server, so that only an answer about the purchase itself ends it. */
  | {
      step: "processing";
      attempt: Attempt;
      tries: number;
      unsure: boolean;
      /** Given up by this id first: what the request is answered says which came first, that or the money. */
      leave?: string;
    }
  | { step: "needs_action"; attempt: Attempt; actionUrl: string; purchaseId?: string | undefined; sandbox: boolean }
  /** No answer: whether the money was taken is not known, and the same request will tell. */
  | { step: "unknown"; attempt: Attempt; reason?: string | undefined }
  /** As unknown or needs_action, with the dialog closed. */
  | { step: "aside"; attempt: Attempt }
  /** Asked for another purchase while this one is aside. */
  | { step: "earlier"; attempt: Attempt }
  | { step: "succeeded"; amount: Money; balance: Money | null; seq: number | null; sandbox: boolean }
  | { step: "failed"; attempt: Attempt; reason: string; requestId?: string | undefined };

export type PurchaseEvent =
  | { type: "ask"; amount: string }
  | { type: "confirm"; key: string; paymentMethod?: string }
  | { type: "answered"; answer: PurchaseAnswer; currency: string }
  | { type: "problem"; problem: ApiProblem }
  | { type: "resend" }
  /** Gives a purchase up that waits for the payer. */
  | { type: "leave" }
  | { type: "retry" }
  | { type: "close" };

export const TRIES_MAX = 6;

/** Whether the state may be left without losing track of money that is on its way. */
export function isClosable(state: PurchaseState): boolean {
  return state.step !== "processing";
}

/** The attempt of a purchase that has no final answer yet. */
export function openAttemptOf(state: PurchaseState): Attempt | null {
  return "attempt" in state && state.step !== "failed" ? state.attempt : null;
}

/** Goes on with an attempt whose requests may have reached the server. */
export function again(attempt: Attempt): PurchaseState {
  return { step: "processing", attempt, tries: 0, unsure: true };
}

export function purchase(state: PurchaseState, event: PurchaseEvent): PurchaseState {
  switch (event.type) {
    case "ask":
      if (state.step === "aside") return { step: "earlier", attempt: state.attempt };
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
      return isWaiting(state) ? again(state.attempt) : state;
    case "leave":
      return state.step === "needs_action" && state.purchaseId !== undefined
        ? { step: "processing", attempt: state.attempt, tries: 0, unsure: true, leave: state.purchaseId }
        : state;
    case "retry":
      // What failed for good is over: it is asked anew, with another card if wanted, and gets another key.
      return state.step === "failed" ? { step: "confirm", amount: state.attempt.amount } : state;
    case "close":
      if (isWaiting(state)) return { step: "aside", attempt: state.attempt };
      return isClosable(state) ? { step: "idle" } : state;
  }
}

type Waiting = Extract<PurchaseState, { step: "needs_action" | "unknown" | "aside" | "earlier" }>;

function isWaiting(state: PurchaseState): state is Waiting {
  return openAttemptOf(state) !== null && state.step !== "processing";
}

function begin(amount: string, event: { key: string; paymentMethod?: string }): PurchaseState {
  const attempt: Attempt = { key: event.key, amount };
  if (event.paymentMethod !== undefined) attempt.paymentMethod = event.paymentMethod;
  return { step: "processing", attempt, tries: 0, unsure: false };
}

type Processing = Extract<PurchaseState, { step: "processing" }>;

function answered(state: Processing, answer: PurchaseAnswer, currency: string): PurchaseState {
  const sandbox = answer.sandbox === true;
  if (answer.status === "succeeded") {
    const amount = answer.amount ?? { amount: state.attempt.amount, currency };
    return { step: "succeeded", amount, balance: answer.balance ?? null, seq: answer.seq ?? null, sandbox };
  }
  if (answer.status === "needs_action" && answer.next_action !== undefined) {
    const { next_action: action, purchase_id: purchaseId } = answer;
    return { step: "needs_action", attempt: state.attempt, actionUrl: action.url, purchaseId, sandbox };
  }
  return later(state);
}

function refused(state: Processing, problem: ApiProblem): PurchaseState {
  const isLater = problem.isTransient || problem.status >= 500 || problem.status === 408;
  if (isLater || (problem.status === 409 && problem.code === "conflict")) return later(state);
  const reason = typeof problem.body.reason === "string" ? problem.body.reason : problem.code;
  if (state.unsure && isAtTheDoor(problem)) return { step: "unknown", attempt: state.attempt, reason };
  return { step: "failed", attempt: state.attempt, reason, requestId: problem.requestId };
}

// Refused before anybody looked for the purchase: it tells nothing of what an earlier try came to.
function isAtTheDoor(problem: ApiProblem): boolean {
  return problem.isSignedOut || problem.status === 403 || problem.isMissing || problem.code === "no_payment_provider";
}

// Pending, unreachable, broken, overloaded: the same request again, until patience ends.
function later(state: Processing): PurchaseState {
  return state.tries + 1 < TRIES_MAX
    ? { ...state, tries: state.tries + 1, unsure: true }
    : { step: "unknown", attempt: state.attempt };
}
