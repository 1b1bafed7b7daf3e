import type { Recharge } from "@/api/types";
import type { RechargeRuleBody } from "@/api/queries/billing";
import { formatMoney, fromMicro, isZero, toMicro } from "@/format";
import { AMOUNT_MAX, AMOUNT_MIN } from "@/purchase/amount";
import { text } from "@/text";

export interface Draft {
  enabled: boolean;
  mode: "amount" | "target";
  threshold: string;
  amount: string;
  target: string;
  dailyCap: string;
  monthlyCap: string;
}

export type DraftErrors = Partial<Record<"threshold" | "amount" | "target" | "dailyCap" | "monthlyCap", string>>;

/** What a rule that nobody made yet begins with. */
const THRESHOLD_DEFAULT = "10.00";
const AMOUNT = /^\d{1,7}(\.\d{1,2})?$/;

export function draftOf(rule: Recharge): Draft {
  return {
    enabled: rule.enabled,
    mode: rule.target ? "target" : "amount",
    threshold: rule.enabled || !isZero(rule.threshold) ? rule.threshold.amount : THRESHOLD_DEFAULT,
    amount: rule.amount?.amount ?? "100.00",
    target: rule.target?.amount ?? "",
    dailyCap: rule.daily_cap?.amount ?? "",
    monthlyCap: rule.monthly_cap?.amount ?? "",
  };
}

/** What is wrong with a draft, by field; empty when it can be sent. What is bought at once has the bounds of a purchase. */
export function draftErrors(draft: Draft, currency = "USD"): DraftErrors {
  const { invalid, needAmount, targetAbove, onceLeast, onceMost, targetLeast, targetMost, capLeast } = text.billing.recharge;
  const least = formatMoney({ amount: AMOUNT_MIN, currency }, { places: "whole" });
  const most = formatMoney({ amount: AMOUNT_MAX, currency }, { places: "whole" });
  const errors: DraftErrors = {};
  const good = (value: string): boolean => AMOUNT.test(value.trim());
  if (!good(draft.threshold)) errors.threshold = invalid;
  const field = draft.mode;
  if (draft[field].trim() === "") errors[field] = needAmount;
  else if (!good(draft[field])) errors[field] = invalid;
  else if (field === "amount") {
    if (toMicro(draft.amount.trim()) < toMicro(AMOUNT_MIN)) errors.amount = onceLeast(least);
    else if (toMicro(draft.amount.trim()) > toMicro(AMOUNT_MAX)) errors.amount = onceMost(most);
  } else if (errors.threshold === undefined) {
    const once = toMicro(draft.target.trim()) - toMicro(draft.threshold.trim());
    if (once <= 0n) errors.target = targetAbove;
    else if (once < toMicro(AMOUNT_MIN)) errors.target = targetLeast(least);
    else if (once > toMicro(AMOUNT_MAX)) errors.target = targetMost(most);
  }
  for (const cap of ["dailyCap", "monthlyCap"] as const) {
    if (draft[cap].trim() === "") continue;
    if (!good(draft[cap])) errors[cap] = invalid;
    else if (toMicro(draft[cap].trim()) < toMicro(AMOUNT_MIN)) errors[cap] = capLeast(least);
  }
  return errors;
}

/** The daily cap of a rule that names none, as ingest sets it: ten times what is bought at once. */
export function defaultDailyCap(draft: Draft): string | null {
  const errors = draftErrors(draft);
  if (errors.threshold !== undefined || errors[draft.mode] !== undefined) return null;
  const micro = (value: string): bigint => toMicro(value.trim());
  const once = draft.mode === "amount" ? micro(draft.amount) : micro(draft.target) - micro(draft.threshold);
  return fromMicro(once * 10n);
}

export function bodyOf(draft: Draft): RechargeRuleBody {
  const optional = (value: string): string | null => (value.trim() === "" ? null : cents(value));
  return {
    enabled: draft.enabled,
    threshold: cents(draft.threshold),
    amount: draft.mode === "amount" ? cents(draft.amount) : null,
    target: draft.mode === "target" ? cents(draft.target) : null,
    daily_cap: optional(draft.dailyCap),
    monthly_cap: optional(draft.monthlyCap),
  };
}

function cents(value: string): string {
  const [whole = "0", fraction = ""] = value.trim().split(".");
  return `${whole}.${fraction.padEnd(2, "0")}`;
}
