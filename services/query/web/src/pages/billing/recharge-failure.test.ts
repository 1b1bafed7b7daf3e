import { expect, it } from "vitest";

import { failureAdvice, failureReason } from "./recharge-failure";

it("says why a recharge failed in plain words, and a reason that it does not know as it came", () => {
  expect(failureReason("card_declined")).toBe("the card was declined");
  expect(failureReason("something_new")).toBe("something new");
});

it("says what can be done: about the card, unless it is something else", () => {
  expect(failureAdvice("card_declined")).toContain("Save another card");
  expect(failureAdvice("something_new")).toContain("Save another card");
  expect(failureAdvice("no_payment_method")).toContain("Save a card");
  expect(failureAdvice("authentication_required")).toContain("confirm the payment");
  expect(failureAdvice("amount_too_high")).toContain("Change the amount");
  expect(failureAdvice("no_answer")).toContain("tried again by itself");
});
