import { describe, expect, it } from "vitest";

import type { PurchaseAnswer } from "@/api/contract";
import { ApiProblem } from "@/api/problem";

import { TRIES_MAX, isClosable, purchase, type PurchaseEvent, type PurchaseState } from "./machine";

const IDLE: PurchaseState = { step: "idle" };

function run(events: PurchaseEvent[], from: PurchaseState = IDLE): PurchaseState {
  return events.reduce(purchase, from);
}

const begun: PurchaseEvent[] = [
  { type: "ask", amount: "100.00" },
  { type: "confirm", key: "k1", paymentMethod: "4242424242424242" },
];
const answered = (answer: PurchaseAnswer): PurchaseEvent => ({ type: "answered", answer, currency: "USD" });
const problem = (status: number, code: string, more = {}): PurchaseEvent => ({
  type: "problem",
  problem: new ApiProblem(status, { code, ...more }),
});
const usd = (amount: string) => ({ amount, currency: "USD" });

function keyOf(state: PurchaseState): string | undefined {
  return "attempt" in state ? state.attempt.key : undefined;
}

describe("a purchase", () => {
  it("asks before anything is sent", () => {
    expect(run([{ type: "ask", amount: "100.00" }])).toEqual({ step: "confirm", amount: "100.00" });
    expect(run([{ type: "ask", amount: "100.00" }, { type: "close" }])).toEqual(IDLE);
  });

  it("succeeds with what was posted", () => {
    const state = run([
      ...begun,
      answered({ status: "succeeded", amount: usd("100.00"), balance: usd("184.20"), seq: 43, sandbox: true }),
    ]);
    expect(state).toEqual({ step: "succeeded", amount: usd("100.00"), balance: usd("184.20"), seq: 43, sandbox: true });
  });

  it("cannot be closed while the money is on its way", () => {
    const state = run(begun);
    expect(isClosable(state)).toBe(false);
    expect(purchase(state, { type: "close" })).toBe(state);
    expect(purchase(state, { type: "ask", amount: "50.00" })).toBe(state);
  });

  it.each([
    ["pending", answered({ status: "pending" })],
    ["no answer", problem(0, "unreachable")],
    ["overload", problem(503, "unavailable")],
    ["a server that broke while it paid", problem(500, "internal")],
    ["too many requests", problem(429, "rate_limited")],
    ["a request under way", problem(409, "conflict")],
  ])("asks again with the same key after %s", (_, event) => {
    const state = run([...begun, event]);
    expect(state).toMatchObject({ step: "processing", tries: 1 });
    expect(keyOf(state)).toBe("k1");
  });

  it("says that it does not know when patience ends, and resends the same", () => {
    const state = run([...begun, ...Array.from({ length: TRIES_MAX }, () => problem(0, "unreachable"))]);
    expect(state.step).toBe("unknown");
    const again = purchase(state, { type: "resend" });
    expect(again).toMatchObject({ step: "processing", tries: 0 });
    expect(keyOf(again)).toBe("k1");
  });

  it("goes on with the same key after the bank was asked", () => {
    const state = run([...begun, answered({ status: "needs_action", next_action: { url: "/x" }, sandbox: true })]);
    expect(state).toMatchObject({ step: "needs_action", actionUrl: "/x" });
    expect(keyOf(purchase(state, { type: "resend" }))).toBe("k1");
  });

  it("gives a purchase up that waits for the payer, and believes what the same request is answered", () => {
    const asked = answered({ status: "needs_action", next_action: { url: "/x" }, purchase_id: "pay_1" });
    const leaving = purchase(run([...begun, asked]), { type: "leave" });
    expect(leaving).toMatchObject({ step: "processing", leave: "pay_1", unsure: true });
    expect(keyOf(leaving)).toBe("k1");
    expect(purchase(leaving, problem(503, "unavailable"))).toMatchObject({ step: "processing", leave: "pay_1" });
    expect(purchase(leaving, answered({ status: "succeeded" })).step).toBe("succeeded");
    const nameless = run([...begun, answered({ status: "needs_action", next_action: { url: "/x" } })]);
    expect(purchase(nameless, { type: "leave" })).toEqual(nameless);
  });

  it.each([
    ["unknown", Array.from({ length: TRIES_MAX }, () => problem(0, "unreachable"))],
    ["needs_action", [answered({ status: "needs_action", next_action: { url: "/x" } })]],
  ])("is put aside when its dialog is closed in %s, and goes on with the same key", (step, events) => {
    const open = run([...begun, ...events]);
    expect(open.step).toBe(step);
    const aside = purchase(open, { type: "close" });
    expect(aside).toMatchObject({ step: "aside", attempt: { key: "k1", amount: "100.00" } });
    expect(purchase(aside, { type: "close" })).toEqual(aside);
    expect(keyOf(purchase(aside, { type: "resend" }))).toBe("k1");
  });

  it("begins no second one while the first is open", () => {
    const aside: PurchaseState = { step: "aside", attempt: { key: "k1", amount: "100.00" } };
    const asked = purchase(aside, { type: "ask", amount: "60.00" });
    expect(asked).toEqual({ step: "earlier", attempt: { key: "k1", amount: "100.00" } });
    expect(purchase(asked, { type: "confirm", key: "k2" })).toBe(asked);
    expect(purchase(asked, { type: "close" })).toEqual(aside);
    const looked = purchase(asked, { type: "resend" });
    expect(looked).toMatchObject({ step: "processing", attempt: { key: "k1", amount: "100.00" } });
    // Only its final answer makes room for another.
    const ended = purchase(looked, answered({ status: "succeeded" }));
    const next = run([{ type: "ask", amount: "60.00" }, { type: "confirm", key: "k2" }], ended);
    expect(next).toMatchObject({ step: "processing", attempt: { key: "k2", amount: "60.00" } });
  });

  it.each([
    ["the session ended", problem(401, "unauthenticated")],
    ["the session changed", problem(403, "csrf")],
    ["the route is gone", problem(404, "not_found")],
    ["nobody takes payments now", problem(409, "no_payment_provider")],
  ])("is not over when a repeat is turned away because %s", (_, event) => {
    const turnedAway = run([...begun, problem(0, "unreachable"), event]);
    expect(turnedAway).toMatchObject({ step: "unknown", attempt: { key: "k1" } });
    expect(run([...begun, event]).step).toBe("failed");
  });

  it("fails for good with the provider's reason, and then begins anew with another key", () => {
    const failed = run([...begun, problem(402, "payment_failed", { reason: "card_declined", request_id: "r1" })]);
    expect(failed).toMatchObject({ step: "failed", reason: "card_declined", requestId: "r1" });
    const again = run([{ type: "retry" }, { type: "confirm", key: "k2" }], failed);
    expect(again).toMatchObject({ step: "processing", attempt: { key: "k2", amount: "100.00" } });
  });

  it("does not repeat what is refused", () => {
    expect(run([...begun, problem(409, "no_payment_provider")]).step).toBe("failed");
    expect(run([...begun, problem(422, "invalid")]).step).toBe("failed");
  });

  it("ignores answers that come when nothing is under way", () => {
    expect(purchase(IDLE, answered({ status: "succeeded" }))).toBe(IDLE);
  });
});
