import { describe, expect, it } from "vitest";

import {
  addDays,
  formatDateTime,
  formatDuration,
  formatTime,
  isLate,
  isoDate,
  utcTitle,
  zoneCity,
  zoneName,
} from "./date";

// Newer ICU data puts a narrow space before AM and PM.
const plain = (text: string): string => text.replace(/[\u202f\u00a0]/g, " ");

describe("times in a zone", () => {
  it("follow its clocks, also in the hour that comes twice", () => {
    const zone = "America/New_York";
    expect(plain(formatTime("2026-11-01T05:30:00Z", zone))).toBe("1:30:00 AM");
    expect(plain(formatTime("2026-11-01T06:30:00Z", zone))).toBe("1:30:00 AM");
    expect(zoneName("2026-11-01T05:30:00Z", zone)).toBe("EDT");
    expect(zoneName("2026-11-01T06:30:00Z", zone)).toBe("EST");
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
