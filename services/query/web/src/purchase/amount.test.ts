import { expect, it } from "vitest";

import { parseAmount } from "./amount";

it.each([
  ["100", "100.00"],
  ["$1,200.5", "1200.50"],
  [" 50.00 ", "50.00"],
  ["0099.99", "99.99"],
  ["10000", "10000.00"],
])("%s is %s", (typed, amount) => {
  expect(parseAmount(typed)).toEqual({ amount });
});

it.each([
  ["", "missing"],
  ["  $ ", "missing"],
  ["ten", "malformed"],
  ["1,50", "malformed"],
  ["50.005", "malformed"],
  ["-100", "malformed"],
  ["1e3", "malformed"],
  ["49.99", "too_small"],
  ["10000.01", "too_large"],
])("%s is refused as %s", (typed, error) => {
  expect(parseAmount(typed)).toEqual({ error });
});
