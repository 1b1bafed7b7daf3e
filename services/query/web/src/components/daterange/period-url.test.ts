import { describe, expect, it } from "vitest";
import { readPeriod, writePeriod } from "./period-url";
import type { Period } from "./period";

const fallback: Period = { kind: "year" };
const read = (search: string): Period => readPeriod(new URLSearchParams(search), fallback);

describe("period in the address", () => {
  it("reads what it wrote, beside other parameters", () => {
    const period: Period = { kind: "dates", first: "2026-05-03", last: "2026-05-09" };
    const search = writePeriod(new URLSearchParams("q=kling"), period);
    expect(search.toString()).toBe("q=kling&period=dates&from=2026-05-03&to=2026-05-09");
    expect(readPeriod(search, fallback)).toEqual(period);
    expect(writePeriod(search, { kind: "month" }).toString()).toBe("q=kling&period=month");
  });

  it("falls back where an address says nothing sensible", () => {
    for (const search of [
      "",
      "period=decade",
      "period=dates",
      "period=dates&from=2026-05-09&to=2026-05-03",
      "period=dates&from=x&to=2026-05-03",
    ]) {
      expect(read(search)).toEqual(fallback);
    }
  });
});
