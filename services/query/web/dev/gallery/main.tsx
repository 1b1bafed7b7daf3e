// Every chart with made-up data, for looking and for measuring; the development server alone has it:
// http://127.0.0.1:5173/dev/gallery/
import { useState, type ReactNode } from "react";
import { createRoot } from "react-dom/client";

import { BudgetBar } from "@/charts/BudgetBar";
import { Donut } from "@/charts/Donut";
import { TimelineChart } from "@/charts/TimelineChart";
import type { ChartBucket, ChartSeries } from "@/charts/types";
import "@/styles/tokens.css";
import "@/styles/fonts.css";
import "@/styles/base.css";
import { PeriodControl } from "@/components/daterange/PeriodControl";
import type { Period } from "@/components/daterange/period";

const ZONE = "America/New_York";
const usd = (amount: string) => ({ amount, currency: "USD" });

function months(counts: readonly number[], year: number): ChartBucket[] {
  return counts.map((count, index) => ({
    start: new Date(Date.UTC(year, index, 1, 5)).toISOString(),
    end: new Date(Date.UTC(year, index + 1, 1, 5)).toISOString(),
    partial: year === 2026 && index === 10,
    future: year === 2026 && index === 11,
    count,
    failures: Math.round(count / 80),
    amount: (count * 0.21).toFixed(2),
  }));
}

const year: ChartSeries[] = [
  {
    key: "now",
    label: "This year",
    role: "main",
    buckets: months([312, 280, 0, 645, 1204, 1730, 1560, 990, 1411, 1622, 702, 0], 2026),
  },
  {
    key: "before",
    label: "Year before",
    role: "compare",
    buckets: months([210, 190, 240, 420, 905, 1330, 1410, 820, 990, 1204, 1402, 1800], 2025),
  },
];

function quarters(count: number): ChartSeries[] {
  const start = Date.UTC(2026, 0, 1);
  const buckets = Array.from({ length: count }, (_, index): ChartBucket => {
    const hour = (index / 4) % 24;
    const busy = hour > 17 && hour < 23 ? 20 + ((index * 7919) % 40) : (index * 31) % 4;
    return {
      start: new Date(start + index * 900_000).toISOString(),
      end: new Date(start + (index + 1) * 900_000).toISOString(),
      partial: false,
      count: busy,
      amount: (busy * 0.2).toFixed(2),
    };
  });
  return [{ key: "year", label: "A year of quarters", role: "main", buckets }];
}

const items = [
  { key: "nano_banana_2", label: "Nano Banana 2", amount: "151.20", count: 756 },
  { key: "kling", label: "Kling", amount: "96.00", count: 96 },
  { key: "grok_imagine", label: "Grok Imagine", amount: "31.44", count: 262 },
  { key: "sms_us_ca", label: "SMS US and Canada", amount: "24.03", count: 801 },
  { key: "bg_removal", label: "Background Removal", amount: "18.15", count: 363 },
  { key: "face_switch", label: "Face Switch", amount: "12.10", count: 121 },
  { key: "draw_me", label: "Draw Me", amount: "8.32", count: 52 },
  { key: "editorial", label: "Editorial", amount: "4.50", count: 9 },
];

function Card({ title, action, children }: { title: string; action?: ReactNode; children: ReactNode }) {
  return (
    <section
      style={{
        padding: "var(--space-5)",
        border: "1px solid var(--border)",
        borderRadius: "var(--radius-lg)",
        background: "var(--surface)",
        marginBottom: "var(--space-6)",
      }}
    >
      <header style={{ display: "flex", flexWrap: "wrap", gap: 12, justifyContent: "space-between", marginBottom: 16 }}>
        <h2 style={{ margin: 0, fontSize: "var(--text-lg)" }}>{title}</h2>
        {action}
      </header>
      {children}
    </section>
  );
}

function Gallery() {
  const [period, setPeriod] = useState<Period>({ kind: "year" });
  const [cumulative, setCumulative] = useState(false);
  const [opened, setOpened] = useState("");
  const [long] = useState(() => quarters(35_040));
  const [showLong, setShowLong] = useState(false);
  return (
    <main style={{ maxWidth: "72rem", margin: "0 auto", padding: "var(--space-6) var(--space-4)" }}>
      <h1>Gallery {opened}</h1>
      <Card title="Timeline" action={<PeriodControl period={period} onChange={setPeriod} zone={ZONE} withEvent />}>
        <label>
          <input
            type="checkbox"
            checked={cumulative}
            onChange={(event) => {
              setCumulative(event.target.checked);
            }}
          />
          Cumulative
        </label>
        <TimelineChart
          series={year}
          size="month"
          measure="count"
          accumulation={cumulative ? "cumulative" : "bucket"}
          zone={ZONE}
          currency="USD"
          label="Activity timeline"
          onDrill={(bucket) => {
            setOpened(bucket.start);
          }}
        />
      </Card>
      <Card title="Credits Used">
        <Donut items={items} currency="USD" label="Credits Used" href={(slice) => `#${slice.key}`} />
      </Card>
      <Card title="Budget">
        <div style={{ display: "grid", gap: 24 }}>
          <BudgetBar budget={usd("500.00")} spent={usd("345.74")} policy="warn" />
          <BudgetBar budget={usd("400.00")} spent={usd("345.74")} policy="refuse_holds" />
          <BudgetBar budget={usd("300.00")} spent={usd("345.74")} policy="warn" />
        </div>
      </Card>
      <Card title="A year of quarters">
        <button
          type="button"
          id="draw-year"
          onClick={() => {
            performance.mark("draw-start");
            setShowLong(true);
          }}
        >
          Draw
        </button>
        {showLong && (
          <TimelineChart series={long} size="15m" measure="count" zone="UTC" currency="USD" label="A year of quarters" />
        )}
      </Card>
    </main>
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<Gallery />);
