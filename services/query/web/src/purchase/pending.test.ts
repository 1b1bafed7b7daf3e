import { beforeEach, describe, expect, it, vi } from "vitest";

import { ApiProblem } from "@/api/problem";

import { purchase, type PurchaseEvent, type PurchaseState } from "./machine";
import { keep, kept } from "./pending";

const ACCOUNT = "acc_1";

let storage: Map<string, string>;

beforeEach(() => {
  storage = new Map();
  vi.stubGlobal("sessionStorage", {
    getItem: (name: string) => storage.get(name) ?? null,
    setItem: (name: string, value: string) => storage.set(name, value),
    removeItem: (name: string) => storage.delete(name),
  });
});

/** A page as usePurchase.ts runs it: begins with what is kept, and keeps each state that it comes to. */
class Page {
  state: PurchaseState = kept(ACCOUNT);

  on(...events: PurchaseEvent[]): this {
    for (const event of events) {
      this.state = purchase(this.state, event);
      keep(ACCOUNT, this.state);
    }
    return this;
  }
}

const buy = (key: string, amount: string): PurchaseEvent[] => [
  { type: "ask", amount },
  { type: "confirm", key, paymentMethod: "4242424242424242" },
];
const needsAction: PurchaseEvent = {
  type: "answered",
  answer: { status: "needs_action", next_action: { url: "/x" } },
  currency: "USD",
};
const succeeded: PurchaseEvent = { type: "answered", answer: { status: "succeeded" }, currency: "USD" };

describe("what is kept of a purchase", () => {
  it("is all that a reload needs to go on with the same request", () => {
    new Page().on(...buy("k1", "100.00"));
    expect(new Page().state).toEqual({
      step: "processing",
      attempt: { key: "k1", amount: "100.00", paymentMethod: "4242424242424242" },
      tries: 0,
      unsure: true,
    });
  });

  it("stays when the dialog is closed, over pages, until the final answer", () => {
    new Page().on(...buy("k1", "100.00"), needsAction, { type: "close" });

    const later = new Page();
    expect(later.state).toMatchObject({ step: "aside", attempt: { key: "k1" } });
    later.on(...buy("k2", "60.00"));
    expect(later.state).toMatchObject({ step: "earlier", attempt: { key: "k1", amount: "100.00" } });
    later.on({ type: "resend" }, needsAction, { type: "close" });
    expect(new Page().state).toMatchObject({ step: "aside", attempt: { key: "k1" } });

    const last = new Page().on({ type: "resend" }, succeeded);
    expect(last.state.step).toBe("succeeded");
    expect(storage.size).toBe(0);
    expect(last.on({ type: "close" }, ...buy("k2", "60.00")).state).toMatchObject({
      step: "processing",
      attempt: { key: "k2", amount: "60.00" },
    });
  });

  it("goes when the purchase failed for good", () => {
    const refused = new ApiProblem(402, { code: "payment_failed", reason: "card_declined" });
    new Page().on(...buy("k1", "100.00"), { type: "problem", problem: refused });
    expect(new Page().state).toEqual({ step: "idle" });
  });

  it("is nothing where what is stored is no attempt", () => {
    for (const stored of ["", "{", "7", "{\"key\":1,\"amount\":\"5\"}"]) {
      storage.set(`tollbooth.purchase.${ACCOUNT}`, stored);
      expect(kept(ACCOUNT)).toEqual({ step: "idle" });
    }
  });
});
