import { formatCount } from "@/format";

const many = (count: number, one: string, more: string): string => `${formatCount(count)} ${count === 1 ? one : more}`;

/** Texts of the charts. */
export const charts = {
  activities: (count: number) => many(count, "activity", "activities"),
  failed: (count: number) => `${formatCount(count)} failed`,
  soFar: "so far",
  upTo: (block: string) => `Up to and including ${block}`,
  showTable: "Show as table",
  showChart: "Show as chart",
  downloadCsv: "Download CSV",
  showMoreRows: (count: number) => `Show ${formatCount(count)} more rows`,
  chartRole: "interactive chart",
  keys: (series: boolean, drill: boolean) =>
    [
      "Left and Right arrows move between periods, Home and End to the first and the last, Page Up and Page Down by larger steps.",
      series ? "Up and Down change the line." : "",
      drill ? "Enter opens the period." : "",
      "Escape closes the box.",
    ]
      .filter(Boolean)
      .join(" "),
  block: "Period",
  lineOf: "Lines",
  noActivity: "No activity in this period",
  takeaway: {
    none: "No activity in this period.",
    /** `onDay`: the peak is a day or a part of one. */
    total: (total: string, peak: string, value: string, onDay: boolean) =>
      `${total}, most ${onDay ? "on" : "in"} ${peak} (${value}).`,
    single: (total: string) => `${total}.`,
  },
  change: {
    up: (percent: string) => `${percent} more than the previous period`,
    down: (percent: string) => `${percent} less than the previous period`,
    same: "the same as the previous period",
  },
  open: {
    month: "Show this month",
    week: "Show this week",
    day: "Show this day",
    year: "Show this year",
    hour: "Show this hour",
    "15m": "Show these minutes",
  },
  columns: { activities: "Activities", failed: "Failed", amount: "Amount" },
  donut: {
    total: "Total",
    hint: "Arrow keys move between slices.",
    other: "Other",
    empty: "No credits used yet",
    share: "Share",
    part: "AI engine",
    takeaway: (total: string, label: string, share: string) => `${total} in all, most by ${label} (${share}).`,
    single: (total: string, label: string) => `${total}, all by ${label}.`,
    slice: (label: string, amount: string, share: string, count: string) => `${label}: ${amount}, ${share}, ${count}`,
  },
  budget: {
    label: "Budget",
    of: (spent: string, budget: string) => `${spent} of ${budget}`,
    remaining: (amount: string) => `${amount} left`,
    over: (amount: string) => `${amount} over budget`,
    warn: "Charges continue beyond the budget; you get a warning.",
    refuse: "New work is refused beyond the budget.",
  },
} as const;
