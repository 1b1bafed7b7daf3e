import type { Recharge } from "@/api/types";
import type { RechargeRuleBody } from "@/api/queries/billing";
import { fromMicro, isZero, toMicro } from "@/format";
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

/** What is wrong with a draft, by field; empty when it can be sent. */
export function draftErrors(draft: Draft): DraftErrors {
  const { invalid, needAmount, targetAbove } = text.billing.recharge;
  const errors: DraftErrors = {};
  const good = (value: string): boolean => AMOUNT.test(value.trim());
  if (!good(draft.threshold)) errors.threshold = invalid;
  const field = draft.mode;
  if (draft[field].trim() === "") errors[field] = needAmount;
  else if (!good(draft[field])) errors[field] = invalid;
  else if (field === "target" && errors.threshold === undefined) {
    if (toMicro(draft.target.trim()) <= toMicro(draft.threshold.trim())) errors.target = targetAbove;
  }
  for (const cap of ["dailyCap", "monthlyCap"] as const) {
    if (draft[cap].trim() !== "" && !good(draft[cap])) errors[cap] = invalid;
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
