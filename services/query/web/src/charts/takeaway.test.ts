import { expect, it } from "vitest";

import { takeaway } from "./takeaway";
import type { BucketSize } from "./types";

const bucket = (start: string, end: string, count: number) => ({ start, end, partial: false, count, amount: "1.00" });

it.each<[BucketSize, string]>([
  ["month", "most in May 2026"],
  ["day", "most on Fri, May 1, 2026"],
  ["hour", "most on Fri, May 1, 2026, 12:00"],
])("says when most was done, of a %s", (size, words) => {
  const buckets = [
    bucket("2026-05-01T00:00:00Z", "2026-05-01T01:00:00Z", 7),
    bucket("2026-05-02T00:00:00Z", "2026-05-02T01:00:00Z", 2),
  ];
  const said = takeaway({ buckets, measure: "count", size, zone: "UTC", currency: "USD" });
  expect(said.startsWith(`9 activities, ${words}`)).toBe(true);
});
