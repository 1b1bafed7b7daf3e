import { describe, expect, it } from "vitest";

import type { Account } from "@/api/types";

import { NAMES_OF_TODAY, changeOf, draftOf, nameError, zoneOptions } from "./profile-draft";

const luna: Account = {
  account_id: "acc_luna",
  name: "Luna",
  currency: "USD",
  time_zone: "America/New_York",
  opened_at: "2026-10-20T00:00:00Z",
  plan: { code: "pro", name: "Pro", effective_from: "2026-10-20T00:00:00Z", in_force: true },
  seq: 3,
};

describe("the form of an account's name and zone", () => {
  it("sends what was changed, and nothing else", () => {
    const draft = draftOf(luna);
    expect(changeOf(luna, draft)).toBeNull();
    expect(changeOf(luna, { ...draft, name: " Luna " })).toBeNull();
    expect(changeOf(luna, { ...draft, name: " Sol " })).toEqual({ name: "Sol" });
    expect(changeOf(luna, { ...draft, zone: "Asia/Tokyo" })).toEqual({ time_zone: "Asia/Tokyo" });
    expect(changeOf(luna, { name: "Sol", zone: "UTC" })).toEqual({ name: "Sol", time_zone: "UTC" });
  });

  it("wants a name of at most 200 characters", () => {
    const of = (name: string): string | undefined => nameError({ name, zone: "UTC" });
    expect(of("  ")).toBe("Enter a name.");
    expect(of("n".repeat(201))).toBe("Use at most 200 characters.");
    expect(of("\u{1F4F8}".repeat(200))).toBeUndefined();
  });
});

describe("the zones to choose from", () => {
  const labels = (zones: readonly string[], current: string): string[] =>
    zoneOptions(zones, current).map((option) => option.label);

  it("go by their cities", () => {
    expect(labels(["America/New_York", "Asia/Tokyo", "America/Argentina/Buenos_Aires"], "Asia/Tokyo")).toEqual([
      "Buenos Aires (America, Argentina)",
      "New York (America)",
      "Tokyo (Asia)",
      "UTC",
    ]);
  });

  it("have the current one, whatever the browser knows, and no clocks that are no places", () => {
    const options = zoneOptions(["EST", "CET", "Etc/GMT+5", "Asia/Tokyo"], "Asia/Kolkata");
    expect(options.map((option) => option.value)).toEqual(["Asia/Kolkata", "Asia/Tokyo", "UTC"]);
    expect(labels([], "Etc/UTC")).toEqual(["UTC", "UTC"]);
  });

  it("have the name of today, once", () => {
    const options = zoneOptions(["Asia/Calcutta", "Europe/Kiev", "Europe/Kyiv"], "Asia/Kolkata");
    expect(options.map((option) => option.value)).toEqual(["Asia/Kolkata", "Europe/Kyiv", "UTC"]);
    const isKnown = (zone: string): boolean => new Intl.DateTimeFormat("en-US", { timeZone: zone }).format() !== "";
    expect(Object.values(NAMES_OF_TODAY).every(isKnown)).toBe(true);
  });

  it("are all of them places that the service takes", () => {
    const options = zoneOptions(Intl.supportedValuesOf("timeZone"), "UTC");
    expect(options.length).toBeGreaterThan(300);
    expect(options.every(({ value }) => value === "UTC" || value.includes("/"))).toBe(true);
  });
});
