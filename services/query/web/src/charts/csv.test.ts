import { describe, expect, it } from "vitest";
import { csvCell, donutCsv, timelineCsv } from "./csv";
import { donutData } from "./donut-data";
import { plotSeries } from "./series";

describe("csv", () => {
  it("quotes what needs it and disarms formulas, not numbers", () => {
    expect(csvCell('say "hi", all')).toBe('"say ""hi"", all"');
    expect(csvCell("=1+1")).toBe("'=1+1");
    expect(csvCell("@cmd")).toBe("'@cmd");
    expect(csvCell("-0.20")).toBe("-0.20");
  });

  it("writes exact decimals and offsets", () => {
    const plotted = plotSeries(
      {
        key: "main",
        label: "This year",
        role: "main",
        buckets: [
          {
            start: "2026-03-01T00:00:00-05:00",
            end: "2026-04-01T00:00:00-04:00",
            partial: false,
            count: 3,
            amount: "0.0125",
          },
        ],
      },
      "count",
      "bucket",
    );
    expect(timelineCsv([plotted], "USD")).toBe(
      "series,start,end,partial,activities,failed,amount,currency\r\n" +
        "This year,2026-03-01T00:00:00-05:00,2026-04-01T00:00:00-04:00,false,3,0,0.0125,USD\r\n",
    );
  });

  it("has a ring's parts with exact amounts, largest first", () => {
    const items = [
      { key: "kling", label: "Kling", amount: "1.20", count: 1 },
      { key: "draw_me", label: "Draw, Me", amount: "2.0125", count: 10 },
    ];
    expect(donutCsv(donutData(items, "Other"), "USD").split("\r\n")).toEqual([
      "engine,name,activities,amount,currency",
      'draw_me,"Draw, Me",10,2.0125,USD',
      "kling,Kling,1,1.20,USD",
      "",
    ]);
  });
});
