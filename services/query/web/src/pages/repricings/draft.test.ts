import { expect, it } from "vitest";

import { askedBy, daysOf, draftOf, idsOf, readDraft, writeDraft } from "./draft";
import { periodText } from "./period-text";

const NOW = new Date("2026-11-26T10:00:00Z");

it("stands in the address and comes back from it", () => {
  const draft = { version: 13, accounts: ["acc_luna", "acc_sol"], first: "2026-11-01", last: "2026-11-20" };
  expect(readDraft(writeDraft(draft), NOW)).toEqual(draft);
  const all = { ...draft, accounts: null };
  expect(readDraft(writeDraft(all), NOW)).toEqual(all);
});

it("begins with the last thirty days, all accounts and no book, whatever else an address says", () => {
  const search = new URLSearchParams("version=x&of=luna&account=acc_sol&from=yesterday&to=");
  expect(readDraft(search, NOW)).toEqual({ version: null, accounts: null, first: "2026-10-28", last: "2026-11-26" });
});

it("asks for whole days of UTC, the last one included", () => {
  const draft = { version: 13, accounts: ["acc_sol", "acc_luna"], first: "2026-11-01", last: "2026-11-30" };
  expect(askedBy(draft, 13)).toEqual({
    accounts: ["acc_luna", "acc_sol"],
    from: "2026-11-01T00:00:00Z",
    to: "2026-12-01T00:00:00Z",
    price_version: 13,
  });
  expect(askedBy({ ...draft, accounts: null }, 13)).not.toHaveProperty("accounts");
});

it("comes back from what was asked, also where the period is no whole days", () => {
  const asked = { price_version: 13, from: "2026-11-01T00:00:00Z", to: "2026-12-01T00:00:00Z" };
  expect(draftOf(asked, ["acc_luna"])).toMatchObject({ first: "2026-11-01", last: "2026-11-30", version: 13 });
  expect(draftOf({ ...asked, to: "2026-12-01T00:00:00.001Z" }, [])).toMatchObject({ last: "2026-12-01", accounts: null });
});

it("takes ids that were pasted together, or says which is none", () => {
  expect(idsOf(" acc_luna, acc_sol\nacc_terra;")).toEqual({ ids: ["acc_luna", "acc_sol", "acc_terra"] });
  expect(idsOf("acc_luna, luna")).toEqual({ ids: [], wrong: "luna" });
  expect(idsOf("  ")).toEqual({ ids: [] });
});

it("says a period in days, and in instants where it is none", () => {
  expect(daysOf("2026-11-01T00:00:00Z", "2026-11-02T00:00:00.000Z")).toEqual({ first: "2026-11-01", last: "2026-11-01" });
  expect(periodText("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")).toBe("Nov 1, 2026");
  expect(periodText("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")).toBe("Nov 1 \u2013 Nov 30, 2026");
  expect(periodText("2025-12-01T00:00:00Z", "2026-01-02T00:00:00Z")).toBe("Dec 1, 2025 \u2013 Jan 1, 2026");
  expect(daysOf("2026-11-01T00:00:00Z", "2026-11-01T12:00:00Z")).toBeNull();
});
