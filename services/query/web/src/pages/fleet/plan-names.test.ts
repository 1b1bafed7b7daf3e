import { expect, it } from "vitest";

import type { Plan } from "@/api/types";

import { currenciesOf, planNames } from "./plan-names";

const plan = (code: string, name: string) => ({ code, name }) as Plan;

it("knows a plan by the book of the account's currency", () => {
  const currencies = currenciesOf([{ currency: "USD" }, { currency: "EUR" }, { currency: "USD" }, { currency: "XTS" }]);
  expect(currencies).toEqual(["EUR", "USD", "XTS"]);
  const names = planNames(currencies, [
    { plans: [plan("payg", "Nach Verbrauch")] },
    { plans: [plan("payg", "Pay-As-You-Go"), plan("basic", "Basic")] },
    null,
  ]);
  expect(names.get("USD")?.get("payg")).toBe("Pay-As-You-Go");
  expect(names.get("EUR")?.get("payg")).toBe("Nach Verbrauch");
  expect(names.get("EUR")?.get("basic")).toBeUndefined();
  expect(names.get("XTS")?.get("payg")).toBeUndefined();
});
