import { again, openAttemptOf, type Attempt, type PurchaseState } from "./machine";

// A purchase without a final answer outlives its dialog, its page and a reload: it is resumed with the same key instead of
// bought twice.

const name = (accountId: string): string => `tollbooth.purchase.${accountId}`;

/** Writes down what must not be forgotten of a state, and forgets it once the purchase has ended. */
export function keep(accountId: string, state: PurchaseState): void {
  const attempt = openAttemptOf(state);
  try {
    if (attempt === null) sessionStorage.removeItem(name(accountId));
    else sessionStorage.setItem(name(accountId), JSON.stringify({ ...attempt, aside: state.step === "aside" }));
  } catch {
    // Storage may be forbidden: then a reload begins anew.
  }
}

/** Where a page begins: with a purchase that is still open, under way or put aside as it was left. */
export function kept(accountId: string): PurchaseState {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(name(accountId)) ?? "null");
    const attempt = attemptIn(stored);
    if (attempt === null) return { step: "idle" };
    const isAside = typeof stored === "object" && stored !== null && "aside" in stored && stored.aside === true;
    return isAside ? { step: "aside", attempt } : again(attempt);
  } catch {
    return { step: "idle" };
  }
}

function attemptIn(stored: unknown): Attempt | null {
  if (typeof stored !== "object" || stored === null || !("key" in stored) || !("amount" in stored)) return null;
  const { key, amount } = stored;
  if (typeof key !== "string" || typeof amount !== "string") return null;
  const method = "paymentMethod" in stored ? stored.paymentMethod : undefined;
  // The same body as before: with another one the key would be refused.
  return typeof method === "string" ? { key, amount, paymentMethod: method } : { key, amount };
}
