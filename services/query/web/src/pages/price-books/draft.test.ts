import { expect, it } from "vitest";

import { ApiProblem } from "@/api/problem";
import type { PriceBook } from "@/api/types";

import { draftOf, errorsOf, parseDraft } from "./draft";

const BOOK: PriceBook = {
  version: 12,
  currency: "USD",
  effective_from: "2026-10-01T00:00:00.000Z",
  plans: [{ code: "basic", name: "Basic", monthly_fee: "39.00" }],
  services: [{ code: "ai_modify", name: "AI Modify" }],
  engines: [{ code: "nano_banana_2", name: "Nano Banana 2" }],
  prices: [
    { service: "ai_modify", engine: "nano_banana_2", unit: "image", model: "per_unit", plans: { basic: "0.20" } },
  ],
};
const NOW = Date.parse("2026-11-26T05:07:00Z");
const listed = (version: number) => ({
  version,
  currency: "USD",
  effective_from: "2026-10-01T00:00:00.000Z",
  effective_to: null,
  in_force: false,
  prices: 1,
});

it("begins a new version with the next free number, and time for the notice", () => {
  const parsed = parseDraft(draftOf(BOOK, [listed(3), listed(17)], NOW));
  expect(parsed.book).toEqual({ ...BOOK, version: 18, effective_from: "2026-11-26T07:00:00Z" });
});

it("places what the service says by pointer, also behind the member that a simulation has it in", () => {
  const document = draftOf(BOOK, [], NOW).replace('"0.20"', '"-1"');
  const refused = new ApiProblem(422, {
    code: "invalid",
    errors: [
      { pointer: "/prices/0/plans/basic", detail: "must not be negative" },
      { pointer: "/book/prices/0/minimum/basic", detail: "is above the price" },
      { pointer: "/work/quantity", detail: "must be more than 0" },
    ],
  });
  const lines = document.split("\n");
  expect(
    errorsOf(document, refused).map(({ place, pointer, detail }) => [lines[place.line - 1]?.trim(), pointer, detail]),
  ).toEqual([
    ['"basic": "-1"', "/prices/0/plans/basic", "must not be negative"],
    ["{", "/prices/0/minimum/basic", "is above the price"],
  ]);
});

it("places what the service cannot read by its line", () => {
  const document = draftOf(BOOK, [], NOW);
  const line = document.split("\n").findIndex((one) => one.includes('"unit"')) + 1;
  const refused = new ApiProblem(422, { code: "invalid", detail: `unknown field \`unit\` at line ${String(line)} column 9` });
  expect(errorsOf(document, refused)).toMatchObject([{ place: { line }, detail: "unknown field `unit`" }]);
  expect(errorsOf(document, new ApiProblem(503, { code: "unavailable" }))).toEqual([]);
});

it("places what is no JSON, and says what is no book", () => {
  const document = '{\n  "version": 3,\n  "currency" "USD"\n}';
  expect(parseDraft(document).error?.place.line).toBe(3);
  expect(parseDraft("[]").error?.detail).toMatch(/object/);
  expect(parseDraft('{"version": 0}').error).toBeDefined();
});
