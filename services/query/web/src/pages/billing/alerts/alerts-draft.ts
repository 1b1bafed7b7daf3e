import type { AlertRulesBody } from "@/api/contract";
import type { AlertRules } from "@/api/types";
import { fromMicro, toMicro } from "@/format";
import { text } from "@/text";

// The rules as a form has them: texts, line by line. Empty lines are left out when they are sent.

export const LISTS = ["balanceBelow", "belowTopUpPercent", "eventBudgetPercent"] as const;
export type List = (typeof LISTS)[number];

/** As the ledger takes them. */
export const LIMITS: Readonly<Record<List, { lines: number; most: number }>> = {
  balanceBelow: { lines: 10, most: 0 },
  belowTopUpPercent: { lines: 5, most: 100 },
  eventBudgetPercent: { lines: 5, most: 1000 },
};
const HOURS_MAX = 720;
const TIMES_MIN = 2;
const TIMES_MAX = 100;

export interface AlertsDraft extends Record<List, readonly string[]> {
  rechargeFailed: boolean;
  emptySoon: boolean;
  emptyHours: string;
  spike: boolean;
  spikeTimes: string;
  spikeAtLeast: string;
}

export interface AlertsErrors {
  lists: Readonly<Record<List, readonly (string | undefined)[]>>;
  emptyHours: string | undefined;
  spikeTimes: string | undefined;
  spikeAtLeast: string | undefined;
}

const AMOUNT = /^\d{1,9}(\.\d{1,6})?$/;
const WHOLE = /^\d{1,4}$/;

export function draftOf(rules: AlertRules | null): AlertsDraft {
  return {
    balanceBelow: rules?.balance_below.map((money) => money.amount) ?? ["20.00"],
    belowTopUpPercent: rules?.below_top_up_percent.map(String) ?? [],
    eventBudgetPercent: rules?.event_budget_percent.map(String) ?? ["80", "100"],
    rechargeFailed: rules?.recharge_failed ?? true,
    emptySoon: typeof rules?.empty_in_hours === "number",
    emptyHours: String(rules?.empty_in_hours ?? 48),
    spike: Boolean(rules?.booth_spike),
    spikeTimes: String(rules?.booth_spike?.times ?? 5),
    spikeAtLeast: rules?.booth_spike?.at_least.amount ?? "20.00",
  };
}

/** What is wrong with each line; `isSendable` says whether anything is. */
export function errorsOf(draft: AlertsDraft): AlertsErrors {
  const { form } = text.alerts;
  const within = (value: string, least: number, most: number): boolean =>
    WHOLE.test(value.trim()) && Number(value) >= least && Number(value) <= most;
  return {
    lists: {
      balanceBelow: linesOf(draft.balanceBelow, canonicalAmount, form.invalidAmount),
      belowTopUpPercent: percents(draft.belowTopUpPercent, LIMITS.belowTopUpPercent.most),
      eventBudgetPercent: percents(draft.eventBudgetPercent, LIMITS.eventBudgetPercent.most),
    },
    emptyHours: draft.emptySoon && !within(draft.emptyHours, 1, HOURS_MAX) ? form.invalidHours : undefined,
    spikeTimes: draft.spike && !within(draft.spikeTimes, TIMES_MIN, TIMES_MAX) ? form.invalidTimes : undefined,
    spikeAtLeast: draft.spike && canonicalAmount(draft.spikeAtLeast.trim()) === null ? form.invalidAmount : undefined,
  };
}

export function isSendable(errors: AlertsErrors): boolean {
  const single = [errors.emptyHours, errors.spikeTimes, errors.spikeAtLeast];
  return [...single, ...LISTS.flatMap((list) => errors.lists[list])].every((error) => error === undefined);
}

export function bodyOf(draft: AlertsDraft): AlertRulesBody {
  const lines = (list: List): string[] => draft[list].map((line) => line.trim()).filter((line) => line !== "");
  return {
    balance_below: lines("balanceBelow").map((line) => fromMicro(toMicro(line))),
    below_top_up_percent: lines("belowTopUpPercent").map(Number),
    event_budget_percent: lines("eventBudgetPercent").map(Number),
    recharge_failed: draft.rechargeFailed,
    empty_in_hours: draft.emptySoon ? Number(draft.emptyHours.trim()) : null,
    booth_spike: draft.spike
      ? { times: Number(draft.spikeTimes.trim()), at_least: fromMicro(toMicro(draft.spikeAtLeast.trim())) }
      : null,
  };
}

function percents(lines: readonly string[], most: number): (string | undefined)[] {
  const canonical = (line: string): string | null => {
    const value = WHOLE.test(line) ? Number(line) : 0;
    return value >= 1 && value <= most ? String(value) : null;
  };
  return linesOf(lines, canonical, text.alerts.form.invalidPercent(most.toLocaleString("en-US")));
}

function canonicalAmount(line: string): string | null {
  return AMOUNT.test(line) ? fromMicro(toMicro(line)) : null;
}

// What means the same is the same: 5 and 5.00.
function linesOf(lines: readonly string[], canonical: (line: string) => string | null, invalid: string) {
  const seen = new Set<string>();
  return lines.map((raw): string | undefined => {
    const line = raw.trim();
    if (line === "") return undefined;
    const value = canonical(line);
    if (value === null) return invalid;
    if (seen.has(value)) return text.alerts.form.twice;
    seen.add(value);
    return undefined;
  });
}
