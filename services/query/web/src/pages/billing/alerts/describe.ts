import type { Alert, AlertRules, AlertState } from "@/api/types";
import { formatCount, formatMoney, formatPerMille } from "@/format";
import { text } from "@/text";

import { failureReason } from "../recharge-failure";

const { alerts: words } = text;

export interface RuleLine {
  key: string;
  text: string;
  /** Null: of each event or booth, or known to the ledger's fold alone. */
  state: "armed" | "fired" | null;
  firedAt: string | null;
  /** Of what each is told. */
  per: "account" | "event" | "booth";
}

/** Every rule with how it stands: those of the account as a whole, then those of events and booths. */
export function ruleLines(states: readonly AlertState[], rules: AlertRules | null): RuleLine[] {
  const account = states.map((state): RuleLine => {
    const said = ruleText(state, rules);
    return { key: said, text: said, state: state.state ?? null, firedAt: state.fired_at ?? null, per: "account" };
  });
  const events = (rules?.event_budget_percent ?? []).map((mark): RuleLine => {
    const said = words.budget(percent(mark));
    return { key: said, text: said, state: null, firedAt: null, per: "event" };
  });
  return [...account, ...events, ...boothLines(rules)];
}

function boothLines(rules: AlertRules | null): RuleLine[] {
  const rule = rules?.booth_spike;
  if (!rule) return [];
  const said = words.boothSpike(formatCount(rule.times), exact(rule.at_least));
  return [{ key: said, text: said, state: null, firedAt: null, per: "booth" }];
}

function ruleText(state: AlertState, rules: AlertRules | null): string {
  switch (state.kind) {
    case "balance_below":
      return words.below(state.threshold ? exact(state.threshold) : text.common.none);
    case "below_top_up_percent":
      return words.belowPercent(percent(state.percent ?? 0));
    case "recharge_failed":
      return words.rechargeFailed;
    case "empty_soon":
      return words.emptySoon(hours(rules?.empty_in_hours ?? 0));
    default:
      return state.kind.replaceAll("_", " ");
  }
}

type Name = (id: string) => string;

/** What an alert told, as a sentence. */
export function alertText(alert: Alert, eventName: Name, boothName: Name): string {
  const threshold = alert.threshold ? exact(alert.threshold) : null;
  switch (alert.kind) {
    case "balance_below":
      return words.recent.below(threshold ?? text.common.none);
    case "below_top_up_percent":
      return words.recent.belowPercent(percent(alert.percent ?? 0), threshold);
    case "event_budget":
      return words.recent.budget(eventName(alert.event_id ?? ""), percent(alert.percent ?? 0), threshold);
    case "recharge_failed":
      return words.recent.rechargeFailed(alert.reason ? failureReason(alert.reason) : null);
    case "empty_soon":
      return words.recent.emptySoon(hours(alert.hours ?? 0), alert.spent ? formatMoney(alert.spent) : null);
    case "booth_spike": {
      const money = (amount: Alert["spent"]): string => (amount ? formatMoney(amount) : text.common.none);
      return words.recent.boothSpike(boothName(alert.booth_id ?? ""), money(alert.spent), money(alert.usual));
    }
    default:
      return alert.kind.replaceAll("_", " ");
  }
}

function exact(money: { amount: string; currency: string }): string {
  return formatMoney(money, { places: "exact" });
}

/** `80%`: whole percents, without the place that shares have. */
function percent(value: number): string {
  return formatPerMille(value * 10).replace(".0%", "%");
}

function hours(count: number): string {
  return words.hours(formatCount(count), count === 1);
}
