import { describe, expect, it } from "vitest";
import { axisLabel, blockLabel, hourTickIndices, tickLabel } from "./labels";
import type { ChartBucket } from "./types";

const block = (start: string, end: string): ChartBucket => ({ start, end, partial: false, count: 0, amount: "0.00" });
// ICU uses thin and no-break spaces around dashes and before AM.
const plain = (text: string): string => text.replaceAll(/[\u2009\u202f\u00a0]/g, " ");
const NEW_YORK = "America/New_York";

describe("blockLabel", () => {
  it("names the block by the zone's calendar", () => {
    const march = block("2026-03-01T00:00:00-05:00", "2026-04-01T00:00:00-04:00");
    expect(blockLabel(march, "month", NEW_YORK)).toBe("March 2026");
    const day = block("2026-05-09T00:00:00-04:00", "2026-05-10T00:00:00-04:00");
    expect(blockLabel(day, "day", NEW_YORK)).toBe("Sat, May 9, 2026");
    const week = block("2026-05-04T00:00:00-04:00", "2026-05-11T00:00:00-04:00");
    expect(plain(blockLabel(week, "week", NEW_YORK))).toBe("May 4 – 10, 2026");
  });

  it("tells the hour apart that comes twice", () => {
    const first = block("2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00");
    const second = block("2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00");
    expect(blockLabel(first, "hour", NEW_YORK)).not.toBe(blockLabel(second, "hour", NEW_YORK));
    expect(blockLabel(second, "hour", NEW_YORK)).toContain("EST");
  });
});

describe("the hours of an axis", () => {
  const HOUR_MS = 3_600_000;
  /** That many hours from an instant on. */
  const hours = (from: string, count: number): ChartBucket[] =>
    Array.from({ length: count }, (_, index) => {
      const at = (hour: number): string => new Date(Date.parse(from) + hour * HOUR_MS).toISOString();
      return block(at(index), at(index + 1));
    });
  const labels = (buckets: ChartBucket[], width: number): string[] =>
    hourTickIndices(buckets, NEW_YORK, width, 58).map((index) =>
      plain(axisLabel(buckets[index] ?? block("", ""), "hour", NEW_YORK)),
    );

  it("are round ones, and the day is named where it begins", () => {
    // from 5 PM to 3 AM
    expect(labels(hours("2026-05-09T21:00:00Z", 10), 400)).toEqual(["6 PM", "8 PM", "10 PM", "May 10", "2 AM"]);
    // three days from noon on
    expect(labels(hours("2026-05-09T16:00:00Z", 72), 400)).toEqual([
      "12 PM", "May 10", "12 PM", "May 11", "12 PM", "May 12",
    ]);
  });

  it("follow the clock over the night that it changes", () => {
    expect(labels(hours("2026-03-08T05:00:00Z", 23), 400)).toEqual(["Mar 8", "4 AM", "8 AM", "12 PM", "4 PM", "8 PM"]);
  });

  it("are every second day where not all days fit", () => {
    expect(labels(hours("2026-05-09T04:00:00Z", 24 * 5), 180)).toEqual(["May 9", "May 11", "May 13"]);
  });
});

describe("axis", () => {
  it("is short", () => {
    expect(axisLabel(block("2026-03-01T00:00:00-05:00", "2026-04-01T00:00:00-04:00"), "month", NEW_YORK)).toBe("Mar");
    expect(tickLabel(1500, null)).toBe("1.5K");
    expect(tickLabel(0.25, "USD")).toBe("$0.25");
    expect(tickLabel(2000, "USD")).toBe("$2K");
  });
});
