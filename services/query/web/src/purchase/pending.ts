import type { Attempt } from "./machine";

// A purchase under way survives a reload of the page: it is resumed with the same key instead of bought twice.

const name = (accountId: string): string => `tollbooth.purchase.${accountId}`;

export function storePending(accountId: string, attempt: Attempt | null): void {
  try {
    if (attempt === null) sessionStorage.removeItem(name(accountId));
    else sessionStorage.setItem(name(accountId), JSON.stringify(attempt));
  } catch {
    // Storage may be forbidden: then a reload begins anew.
  }
}

export function storedPending(accountId: string): Attempt | null {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(name(accountId)) ?? "null");
    if (typeof stored !== "object" || stored === null || !("key" in stored) || !("amount" in stored)) return null;
    const { key, amount } = stored;
    if (typeof key !== "string" || typeof amount !== "string") return null;
    const method = "paymentMethod" in stored ? stored.paymentMethod : undefined;
    // The same body as before: with another one the key would be refused.
    return typeof method === "string" ? { key, amount, paymentMethod: method } : { key, amount };
  } catch {
    return null;
  }
}
