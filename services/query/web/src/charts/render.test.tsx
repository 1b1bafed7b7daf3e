import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";

import { BudgetBar } from "./BudgetBar";
import { Donut } from "./Donut";
import { donutData } from "./donut-data";
import { DonutTable } from "./DonutTable";
import { plotSeries } from "./series";
import { takeaway } from "./takeaway";
import { TimelineMarks } from "./TimelineMarks";
import { layoutPlot } from "./geometry";
import { TimelineTable } from "./TimelineTable";
import { pointText, type TooltipContent } from "./TimelineTooltip";
import type { ChartBucket, ChartSeries } from "./types";

const usd = (amount: string) => ({ amount, currency: "USD" });
const month = (number: number, count: number, amount: string, more: Partial<ChartBucket> = {}): ChartBucket => ({
  start: `2026-0${String(number)}-01T00:00:00Z`,
  end: `2026-0${String(number + 1)}-01T00:00:00Z`,
  partial: false,
  count,
  amount,
  failures: 0,
  ...more,
});
const buckets = [
  month(4, 0, "0.00"),
  month(5, 1204, "250.0125", { failures: 2 }),
  month(6, 90, "18.00", { partial: true }),
];
const main: ChartSeries = { key: "now", label: "This year", role: "main", buckets };
const before: ChartSeries = {
  key: "before",
  label: "Year before",
  role: "compare",
  buckets: [month(4, 1, "0.20"), month(5, 602, "120.40")],
};

function content(index: number, series: readonly ChartSeries[] = [main]): TooltipContent {
  return {
    index,
    plotted: series.map((item) => plotSeries(item, "count", "bucket")),
    measure: "count",
    accumulation: "bucket",
    size: "month",
    zone: "UTC",
    currency: "USD",
  };
}

describe("words of the timeline", () => {
  it("say the total and the peak", () => {
    expect(takeaway({ buckets, measure: "count", size: "month", zone: "UTC", currency: "USD" })).toBe(
      "1,294 activities, most in May 2026 (1,204 activities).",
    );
    expect(takeaway({ buckets, measure: "amount", size: "month", zone: "UTC", currency: "USD" })).toBe(
      "$268.0125, most in May 2026 ($250.0125).",
    );
    expect(
      takeaway({ buckets: [month(4, 0, "0.00")], measure: "count", size: "month", zone: "UTC", currency: "USD" }),
    ).toBe("No activity in this period.");
  });

  it("give the precise number of a block, and say when it is not over", () => {
    expect(pointText(content(1), 0)).toBe("May 2026, 1,204 activities, $250.0125, 2 failed");
    expect(pointText(content(2), 0)).toBe("June 2026, so far, 90 activities, $18.00");
    expect(pointText(content(1, [main, before]), 1)).toBe("Year before, May 2026, 602 activities, $120.40");
    expect(pointText(content(2, [main, before]), 1)).toBe("");
  });
});

describe("marks of the timeline", () => {
  it("draw what is under way dashed and hatched, the period before dashed", () => {
    const plotted = [main, before].map((item) => plotSeries(item, "count", "bucket"));
    const plot = layoutPlot(plotted, { width: 600, height: 200 }, { top: 10, right: 10, bottom: 20, left: 40 }, true);
    const markup = renderToStaticMarkup(
      <svg>
        <TimelineMarks
          plot={plot}
          plotted={plotted}
          id="t"
          tickText={String}
          slotText={String}
          slotTicks={() => [0]}
          slotWidth={40}
        />
      </svg>,
    );
    expect(markup).toContain('fill="url(#t-hatch)"');
    expect(markup).toMatch(/tl-partial[^>]*stroke-dasharray="3 4"/);
    expect(markup).toMatch(/data-series="before"><path[^>]*stroke-dasharray="4 3"/);
    expect(markup).toContain("tl-open-end");
  });
});

describe("table of the timeline", () => {
  it("has the same values to the last digit, and a hundred rows at a time", () => {
    const markup = renderToStaticMarkup(
      <TimelineTable
        plotted={content(0, [main, before]).plotted}
        size="month"
        zone="UTC"
        currency="USD"
        caption="Activity"
      />,
    );
    expect(markup).toContain("<td>1,204</td><td>$250.0125</td><td>2</td><td>602 · $120.40</td>");
    expect(markup).toContain("so far");
    const many = {
      ...main,
      buckets: Array.from({ length: 250 }, (_, i) =>
        month(4, i, "0.00", { start: new Date(i * 900_000).toISOString() }),
      ),
    };
    const long = renderToStaticMarkup(
      <TimelineTable
        plotted={[plotSeries(many, "count", "bucket")]}
        size="15m"
        zone="UTC"
        currency="USD"
        caption="Activity"
      />,
    );
    expect(long.match(/<tr>/g)).toHaveLength(101);
    expect(long).toContain("Show 100 more rows");
  });
});

describe("Donut", () => {
  const items = Array.from({ length: 8 }, (_, i) => ({
    key: `e${String(i)}`,
    label: `Engine ${String(i)}`,
    amount: `${String(8 - i)}.005`,
    count: i,
  }));

  it("lists every slice with amount and share, and the exact total in the centre", () => {
    const markup = renderToStaticMarkup(<Donut items={items} currency="USD" label="Credits Used" />);
    expect(markup.match(/data-slice=/g)).toHaveLength(7);
    expect(markup.match(/<li[ >]/g)).toHaveLength(7);
    expect(markup).toContain("$36.04");
    expect(markup).toContain("$8.005");
    expect(markup).toContain('aria-label="Other: $3.01, 8.4%, 13 activities"');
    expect(markup.match(/tabindex="0"/gi)).toHaveLength(1);
  });

  it("says in a sentence how much it is in all, and what most of it", () => {
    const markup = renderToStaticMarkup(<Donut items={items} currency="USD" label="Credits Used" />);
    expect(markup).toContain("$36.04 in all, most by Engine 0 (22.2%).");
    expect(renderToStaticMarkup(<Donut items={items.slice(0, 1)} currency="USD" label="Credits Used" />)).toContain(
      "$8.005, all by Engine 0.",
    );
  });

  it("has every part in its table, and the same total below", () => {
    const data = donutData(items, "Other", Infinity);
    const markup = renderToStaticMarkup(<DonutTable data={data} currency="USD" caption="Credits Used" />);
    expect(markup.match(/scope="row"/g)).toHaveLength(9);
    expect(markup).toContain('<th scope="row">Engine 7</th><td>7</td><td>$1.005</td><td>2.8%</td>');
    expect(markup).toContain('<th scope="row">Total</th><td>28</td><td>$36.040</td>');
  });

  it("says when there is nothing to share", () => {
    const markup = renderToStaticMarkup(<Donut items={[]} currency="USD" label="Credits Used" />);
    expect(markup).toContain("No credits used yet");
    expect(markup).not.toContain("Show as table");
    expect(markup).toContain("$0.00");
  });
});

describe("BudgetBar", () => {
  it.each([
    ["50.00", "fine", "$50.00 left"],
    ["80.00", "warn", "$20.00 left"],
    ["100.00", "over", "$0.00 left"],
    ["130.50", "over", "$30.50 over budget"],
  ])("of %s spent is %s", (spent, state, words) => {
    const markup = renderToStaticMarkup(<BudgetBar budget={usd("100.00")} spent={usd(spent)} policy="warn" />);
    expect(markup).toContain(`data-state="${state}"`);
    expect(markup).toContain(words);
    expect(markup).toContain('role="meter"');
  });
});
