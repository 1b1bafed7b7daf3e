import { expect, it } from "vitest";

import type { RepricingLine, RepricingPreview } from "@/api/contract";

import { linesOf, stayingOf, totalOf } from "./lines";

const usd = (amount: string) => ({ amount, currency: "USD" });
const sums = (changes: number, was: string, would_be: string, difference: string) => ({
  changes,
  was: usd(was),
  would_be: usd(would_be),
  difference: usd(difference),
});
const line = (changes: number, left_out: Record<string, number>, engine = "kling"): RepricingLine => ({
  event_id: null,
  service: "ai_image_to_video",
  engine,
  left_out,
  ...sums(changes, "0.00", "0.00", "0.00"),
});

it("adds accounts up exactly", () => {
  const one = sums(3, "9007199254740993.10", "0.000001", "-9007199254740993.099999");
  expect(totalOf([one, sums(1, "0.20", "0.10", "-0.10")])).toEqual(
    sums(4, "9007199254740993.30", "0.100001", "-9007199254740993.199999"),
  );
  expect(totalOf([])).toBeNull();
});

it("lists what somebody has to see to before what is fine as it is", () => {
  const staying = stayingOf([line(2, { unchanged: 9, no_price: 1 }), line(0, { refunded: 3, no_price: 1, priced_by_it: 2 })]);
  expect(staying).toEqual([
    { reason: "refunded", count: 3, isFine: false },
    { reason: "no_price", count: 2, isFine: false },
    { reason: "unchanged", count: 9, isFine: true },
    { reason: "priced_by_it", count: 2, isFine: true },
  ]);
  // One that a later service knows is somebody's to look at.
  expect(stayingOf([line(0, { new_reason: 1 })])).toEqual([{ reason: "new_reason", count: 1, isFine: false }]);
});

it("leaves out lines where all is as it was, and none that somebody has to see to", () => {
  const lines = [line(0, { priced_by_it: 9, unchanged: 1 }), line(0, { unchanged: 1, refunded: 1 }, "sora"), line(2, {}, "seedance")];
  const accounts = [{ account_id: "acc_a", as_of_seq: 9, lines, ...sums(2, "0", "0", "0") }];
  const engines = linesOf({ accounts } as unknown as RepricingPreview).map(({ engine }) => engine);
  expect(engines).toEqual(["seedance", "sora"]);
});

it("names each line once, those with most changes first", () => {
  const accounts = [
    { account_id: "acc_a", as_of_seq: 9, lines: [line(1, {}), line(5, {}, "sora")], ...sums(6, "0", "0", "0") },
    { account_id: "acc_b", as_of_seq: 9, lines: [line(1, {})], ...sums(1, "0", "0", "0") },
  ];
  const keys = linesOf({ accounts } as unknown as RepricingPreview).map(({ key }) => key);
  expect(keys).toEqual([
    "acc_a//ai_image_to_video/sora",
    "acc_a//ai_image_to_video/kling",
    "acc_b//ai_image_to_video/kling",
  ]);
});
