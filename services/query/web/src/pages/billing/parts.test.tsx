import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";

import type { Balance } from "@/api/types";

import { waitFor } from "./parts";
import { PartsList } from "./PartsList";

const usd = (amount: string) => ({ amount, currency: "USD" });
const BALANCE: Balance = {
  account_id: "acc_luna",
  balance: usd("12.50"),
  held: usd("2.00"),
  available: usd("10.50"),
  credit_limit: usd("100.00"),
  parts: [
    { kind: "purchased", amount: usd("7.50"), expires_at: null, seq: null },
    { kind: "bonus", amount: usd("5.00"), expires_at: "2026-12-01T00:00:00Z", seq: 4 },
  ],
  seq: 9,
  as_of: "2026-11-26T10:00:00Z",
};

it("shows parts that add up to what is available, and the credit limit beside the sum", () => {
  const html = renderToStaticMarkup(<PartsList balance={BALANCE} zone="UTC" />);
  const amounts = [...html.matchAll(/>(\u2212?\$[\d.]+)</g)].map((found) => found[1]);
  expect(amounts).toEqual(["$7.50", "$5.00", "\u2212$2.00", "$10.50", "$100.00"]);
});

it("waits a second for the next read, and longer after one that failed", () => {
  expect(waitFor({ dataUpdatedAt: 10_000, errorUpdatedAt: 0, now: 10_300 })).toBe(700);
  expect(waitFor({ dataUpdatedAt: 10_000, errorUpdatedAt: 0, now: 60_000 })).toBe(0);
  expect(waitFor({ dataUpdatedAt: 10_000, errorUpdatedAt: 59_000, now: 60_000 })).toBe(4_000);
});
