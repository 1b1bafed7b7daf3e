import { describe, expect, it } from "vitest";
import { bucketFor, dayRange, isDay, lastDays, rangeError, resolvePeriod, todayIn } from "./period";

const HOUR_MS = 3_600_000;
const hours = (first: string, last: string, zone: string): number => {
  const { from, to } = dayRange(first, last, zone);
  return (to.getTime() - from.getTime()) / HOUR_MS;
};

describe("days of a zone", () => {
  it("has 23 and 25 hours where clocks change", () => {
    expect(hours("2026-03-08", "2026-03-08", "America/New_York")).toBe(23);
    expect(hours("2026-11-01", "2026-11-01", "America/New_York")).toBe(25);
    expect(hours("2026-04-05", "2026-04-05", "Australia/Lord_Howe")).toBe(24.5);
    expect(hours("2026-03-08", "2026-03-08", "UTC")).toBe(24);
  });

  it("begins a day at one where midnight is skipped", () => {
    // Beirut moves its clocks at midnight: 29 March 2026 begins at 01:00+03:00.
    expect(dayRange("2026-03-29", "2026-03-29", "Asia/Beirut").from.toISOString()).toBe("2026-03-28T22:00:00.000Z");
  });

  it("knows which day it is there, not here", () => {
    const now = new Date("2026-12-31T23:30:00Z");
    expect(todayIn("Asia/Kathmandu", now).toString()).toBe("2027-01-01");
    expect(todayIn("America/Los_Angeles", now).toString()).toBe("2026-12-31");
  });
});

describe("resolvePeriod", () => {
  const now = new Date("2026-11-26T03:30:00Z");

  it("takes year and month from the zone", () => {
    expect(resolvePeriod({ kind: "year" }, { zone: "America/New_York", now })).toEqual({
      from: "2026-01-01",
      to: "2027-01-01",
      tz: "America/New_York",
      bucket: "month",
      first: "2026-01-01",
      last: "2026-12-31",
    });
    const late = new Date("2026-12-01T02:00:00Z");
    expect(resolvePeriod({ kind: "month" }, { zone: "America/New_York", now: late }).from).toBe("2026-11-01");
    expect(resolvePeriod({ kind: "month" }, { zone: "UTC", now: late }).from).toBe("2026-12-01");
  });

  it("turns inclusive days into a half-open range", () => {
    const period = resolvePeriod({ kind: "dates", first: "2026-03-08", last: "2026-03-08" }, { zone: "UTC", now });
    expect(period).toMatchObject({ from: "2026-03-08", to: "2026-03-09", bucket: "hour" });
  });

  it("covers all that an event did, in whole local hours", () => {
    const event = {
      starts_at: "2026-05-09T18:15:00Z",
      ends_at: "2026-05-09T22:00:00Z",
      first_activity_at: "2026-05-09T17:50:00Z",
      last_activity_at: "2026-05-09T23:10:00Z",
    };
    expect(resolvePeriod({ kind: "event" }, { zone: "America/New_York", now, event })).toEqual({
      from: "2026-05-09T17:00:00.000Z",
      to: "2026-05-10T00:00:00.000Z",
      tz: "America/New_York",
      bucket: "hour",
      first: "2026-05-09",
      last: "2026-05-09",
    });
  });

  it("reaches until now for an event without an end that still goes on", () => {
    // Given an event whose newest known activity lies in the quarter from 2:45 to 3:00.
    const event = {
      starts_at: null,
      ends_at: null,
      first_activity_at: "2026-11-26T01:15:00Z",
      last_activity_at: "2026-11-26T02:45:00Z",
    };
    const to = (at: string, ends_at: string | null = null): string =>
      resolvePeriod({ kind: "event" }, { zone: "UTC", now: new Date(at), event: { ...event, ends_at } }).to;
    // Then what is done after that quarter is in its time as well,
    expect(to("2026-11-26T02:59:00Z")).toBe("2026-11-26T03:00:00.000Z");
    expect(to("2026-11-26T03:00:01Z")).toBe("2026-11-26T04:00:00.000Z");
    // until nothing was heard of it for two hours: then it was over with its last activity.
    expect(to("2026-11-26T04:59:59Z")).toBe("2026-11-26T05:00:00.000Z");
    expect(to("2026-11-26T05:00:00Z")).toBe("2026-11-26T03:00:00.000Z");
    // One whose end is known ends then.
    expect(to("2026-11-26T04:30:00Z", "2026-11-26T02:30:00Z")).toBe("2026-11-26T03:00:00.000Z");
  });

  it("has an event of a few days by the hour, and a longer one by the day", () => {
    const lasting = (days: number) => ({
      starts_at: "2026-05-09T12:00:00Z",
      ends_at: new Date(Date.parse("2026-05-09T11:30:00Z") + days * 86_400_000).toISOString(),
    });
    const bucketOf = (days: number) => resolvePeriod({ kind: "event" }, { zone: "UTC", now, event: lasting(days) }).bucket;
    expect([2, 3, 5, 6].map(bucketOf)).toEqual(["hour", "hour", "hour", "day"]);
  });

  it("takes the hour of a zone whose hours begin off the hour", () => {
    const event = { starts_at: "2026-05-09T18:15:00Z", ends_at: null, first_activity_at: null, last_activity_at: null };
    const { from } = resolvePeriod({ kind: "event" }, { zone: "Asia/Kathmandu", now, event });
    // 18:15Z is 00:00 in Kathmandu.
    expect(from).toBe("2026-05-09T18:15:00.000Z");
  });
});

describe("ranges that people choose", () => {
  it("picks the block by length", () => {
    expect([1, 2, 3, 92, 93, 731, 732].map(bucketFor)).toEqual(["hour", "hour", "day", "day", "week", "week", "month"]);
  });

  it("says why two days are no range", () => {
    expect(rangeError("2026-05-03", "2026-05-09")).toBeNull();
    expect(rangeError("", "2026-05-09")).toBe("first_missing");
    expect(rangeError("2026-05-03", "2026-02-30")).toBe("last_missing");
    expect(rangeError("2026-05-09", "2026-05-03")).toBe("reversed");
    expect(rangeError("2020-01-01", "2026-05-03")).toBe("too_long");
    expect(isDay("2026-5-3")).toBe(false);
  });

  it("counts today among the last days", () => {
    expect(lastDays(7, "UTC", new Date("2026-03-03T12:00:00Z"))).toEqual({
      kind: "dates",
      first: "2026-02-25",
      last: "2026-03-03",
    });
  });
});
