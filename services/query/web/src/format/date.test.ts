import { describe, expect, it } from "vitest";

import {
  addDays,
  formatDateTime,
  formatDuration,
  formatQuarter,
  formatTime,
  formatTimeNamed,
  isLate,
  isoDate,
  utcTitle,
  zoneCity,
  zoneName,
} from "./date";

// Newer ICU data puts narrow spaces before AM and PM, and around the dash of a range.
const plain = (text: string): string => text.replace(/[\u2009\u202f\u00a0]/g, " ");

describe("times in a zone", () => {
  it("follow its clocks, also in the hour that comes twice", () => {
    const zone = "America/New_York";
    expect(plain(formatTime("2026-11-01T04:59:59Z", zone))).toBe("12:59:59 AM");
    expect(plain(formatTime("2026-11-01T05:00:00Z", zone))).toBe("1:00:00 AM EDT");
    expect(plain(formatTime("2026-11-01T05:59:59Z", zone))).toBe("1:59:59 AM EDT");
    expect(plain(formatTime("2026-11-01T06:00:00Z", zone))).toBe("1:00:00 AM EST");
    expect(plain(formatTime("2026-11-01T06:59:59Z", zone))).toBe("1:59:59 AM EST");
    expect(plain(formatTime("2026-11-01T07:00:00Z", zone))).toBe("2:00:00 AM");
    expect(plain(formatDateTime("2026-11-01T06:30:00Z", zone))).toBe("Nov 1, 2026, 1:30:00 AM EST");
    expect(zoneName("2026-11-01T05:30:00Z", zone)).toBe("EDT");
    expect(zoneName("2026-11-01T06:30:00Z", zone)).toBe("EST");
  });

  it("say which of the two it is wherever clocks are put back, and never where they are put forward", () => {
    // Lord Howe Island, by half an hour; London, where summer time has another name.
    expect(plain(formatTime("2026-04-04T14:45:00Z", "Australia/Lord_Howe", false))).toBe("1:45 AM GMT+11");
    expect(plain(formatTime("2026-04-04T15:15:00Z", "Australia/Lord_Howe", false))).toBe("1:45 AM GMT+10:30");
    expect(plain(formatTime("2026-04-04T14:15:00Z", "Australia/Lord_Howe", false))).toBe("1:15 AM");
    expect(plain(formatTime("2026-10-25T00:30:00Z", "Europe/London", false))).toBe("1:30 AM GMT+1");
    expect(plain(formatTime("2026-10-25T01:30:00Z", "Europe/London", false))).toBe("1:30 AM GMT");
    for (const hour of ["06:30", "07:30"]) {
      expect(plain(formatTime(`2026-03-08T${hour}:00Z`, "America/New_York"))).toMatch(/(AM|PM)$/);
    }
    expect(plain(formatTime("2026-11-01T06:30:00Z", "UTC"))).toBe("6:30:00 AM");
    expect(plain(formatTimeNamed("2026-11-01T06:30:00Z", "America/New_York"))).toBe("1:30 AM EST");
  });

  it("are no more precise than what is known", () => {
    expect(plain(formatQuarter("2026-11-21T20:15:00Z", "America/New_York"))).toBe("Nov 21, 2026, 3:15 \u2013 3:30 PM");
    expect(plain(formatQuarter("2026-11-21T16:45:00Z", "America/New_York"))).toBe("Nov 21, 2026, 11:45 AM \u2013 12:00 PM");
    expect(plain(formatQuarter("2026-11-22T04:45:00Z", "America/New_York"))).toBe("Nov 21, 2026, 11:45 PM \u2013 Nov 22, 2026, 12:00 AM");
  });

  it("name another day than UTC does", () => {
    expect(plain(formatDateTime("2026-05-04T03:30:00Z", "America/New_York"))).toBe("May 3, 2026, 11:30:00 PM");
    expect(isoDate("2026-05-03T18:20:00Z", "Asia/Kathmandu")).toBe("2026-05-04");
    expect(isoDate("2026-05-03T18:10:00Z", "Asia/Kathmandu")).toBe("2026-05-03");
  });

  it("have UTC in their title", () => {
    expect(utcTitle("2026-11-21T20:15:03.12Z")).toBe("2026-11-21 20:15:03.120 UTC");
  });

  it("speak of places", () => {
    expect(zoneCity("America/New_York")).toBe("New York");
    expect(zoneCity("UTC")).toBe("UTC");
    expect(zoneCity("Etc/UTC")).toBe("UTC");
    expect(zoneCity("Etc/GMT+5")).toBe("GMT-5");
  });
});

describe("calendar dates", () => {
  it("add over months, years and leap days", () => {
    expect(addDays("2026-12-31", 1)).toBe("2027-01-01");
    expect(addDays("2028-02-28", 1)).toBe("2028-02-29");
    expect(addDays("2026-03-08", 1)).toBe("2026-03-09");
  });
});

describe("lateness", () => {
  it("begins at an hour", () => {
    expect(isLate("2026-11-21T20:00:00Z", "2026-11-21T20:59:59Z")).toBe(false);
    expect(isLate("2026-11-21T20:00:00Z", "2026-11-21T21:00:00Z")).toBe(true);
  });

  it("is told in words", () => {
    expect(formatDuration(90 * 60_000)).toBe("1 h 30 min");
    expect(formatDuration(3 * 86_400_000)).toBe("3 days");
    expect(formatDuration(1_000)).toBe("less than a minute");
  });
});
