import { expect, it } from "vitest";

import { addCounts, totalOf } from "./redrive-counts";

it("adds what each request came to, and leaves out what nothing came to", () => {
  const first = addCounts({}, { posted: 99, refused: 1, stale: 0 });
  const both = addCounts(first, { posted: 12, duplicate: 2 });
  expect(both).toEqual({ posted: 111, refused: 1, duplicate: 2 });
  expect(totalOf(both)).toBe(114);
  expect(totalOf({})).toBe(0);
});
