import { describe, expect, it } from "vitest";

import type { Transaction } from "@/api/types";

import { NO_FILTERS, csvAddress, isFiltered, matches, readFilters, toQuery, writeFilters, type Filters } from "./filters";

const ALL: Filters = {
  q: "gala op_7",
  service: "ai_modify",
  engine: "nano_banana_2",
  type: "added",
  status: "failed",
  from: "2026-05-03",
  to: "2026-05-09",
  event: "evt_gala",
  booth: "bth_17",
};

describe("filters in the address", () => {
  it("come back as they were written", () => {
    expect(readFilters(writeFilters(new URLSearchParams(), ALL))).toEqual(ALL);
    expect(readFilters(writeFilters(new URLSearchParams(), NO_FILTERS))).toEqual(NO_FILTERS);
  });

  it("leave other parameters alone and vanish when cleared", () => {
    const search = writeFilters(new URLSearchParams("entry=ent_1&status=failed"), NO_FILTERS);
    expect(search.toString()).toBe("entry=ent_1");
    expect(isFiltered(readFilters(search))).toBe(false);
  });

  it("ignore what is mangled", () => {
    const search = new URLSearchParams("status=maybe&from=2026-02-30&to=x&event=acc_1&type=gift&engine=kling&service=A B");
    expect(readFilters(search)).toEqual(NO_FILTERS);
    expect(readFilters(new URLSearchParams("from=2026-05-09&to=2026-05-03"))).toEqual(NO_FILTERS);
  });
});

describe("the API's question", () => {
  it("is half open and names the zone of its days", () => {
    expect(toQuery({ ...NO_FILTERS, from: "2026-10-31", to: "2026-10-31" }, "America/New_York")).toEqual({
      from: "2026-10-31",
      to: "2026-11-01",
      tz: "America/New_York",
    });
  });

  it("spells groups of types out", () => {
    expect(toQuery({ ...NO_FILTERS, type: "consumed" }, "UTC").type).toEqual(["consume", "plan_fee", "bonus_expiry", "repriced"]);
    expect(toQuery({ ...NO_FILTERS, type: "refund" }, "UTC").type).toEqual(["refund"]);
  });

  it("is the same for the file", () => {
    const address = csvAddress("acc_luna", toQuery({ ...NO_FILTERS, type: "consumed", q: "a b" }, "UTC"), "UTC");
    const search = new URL(address, "http://x").searchParams;
    expect(search.getAll("type")).toEqual(["consume", "plan_fee", "bonus_expiry", "repriced"]);
    expect(search.get("q")).toBe("a b");
    expect(search.get("tz")).toBe("UTC");
  });
});

describe("a row that just arrived", () => {
  const row = {
    seq: 7,
    service: "ai_modify",
    engine: "nano_banana_2",
    service_name: "AI Modify (Nano Banana 2)",
    type: "consume",
    status: "success",
    event_id: "evt_gala",
    booth_id: "bth_17",
    operation_id: "op_7f3a",
    occurred_at: "2026-05-04T03:30:00Z",
  } as Transaction;
  const newYork = () => "2026-05-03";

  it("belongs where every filter says so", () => {
    expect(matches(row, NO_FILTERS, newYork)).toBe(true);
    expect(matches(row, { ...NO_FILTERS, from: "2026-05-03", to: "2026-05-03" }, newYork)).toBe(true);
    expect(matches(row, { ...NO_FILTERS, q: "NANO gala" }, newYork)).toBe(true);
    expect(matches(row, { ...NO_FILTERS, type: "consumed" }, newYork)).toBe(true);
  });

  it("does not where one says no", () => {
    expect(matches(row, { ...NO_FILTERS, from: "2026-05-04" }, newYork)).toBe(false);
    expect(matches(row, { ...NO_FILTERS, q: "gala kling" }, newYork)).toBe(false);
    expect(matches(row, { ...NO_FILTERS, type: "added" }, newYork)).toBe(false);
    expect(matches(row, { ...NO_FILTERS, status: "failed" }, newYork)).toBe(false);
  });
});
