import { describe, expect, it } from "vitest";

import { ApiProblem } from "../problem";
import { cardOf, cardOfProblem } from "./card";

const saved = {
  provider: "stripe",
  live: true,
  customer_id: "cus_1",
  payment_method_id: "pm_1",
  set_at: "2026-11-03T10:00:00Z",
};

describe("the card of an account", () => {
  it("is saved only where the provider has a payment method, not a customer alone", () => {
    expect(cardOf(saved)).toEqual({ kind: "saved", live: true, provider: "stripe", setAt: saved.set_at });
    expect(cardOf({ ...saved, payment_method_id: null })).toEqual({ kind: "none" });
  });

  it("is none where nothing is saved, and the sandbox's where no provider is connected", () => {
    expect(cardOfProblem(new ApiProblem(404, { code: "not_found" }))).toEqual({ kind: "none" });
    expect(cardOfProblem(new ApiProblem(409, { code: "no_payment_provider" }))).toEqual({ kind: "sandbox" });
  });

  it("is not known where the question itself fails", () => {
    const problem = new ApiProblem(503, { code: "unavailable" });
    expect(() => cardOfProblem(problem)).toThrow(problem);
  });
});
