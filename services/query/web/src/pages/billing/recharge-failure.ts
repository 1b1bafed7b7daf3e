import { text } from "@/text";

const { reasons, advice } = text.billing.recharge;

const ADVICE: Readonly<Record<string, keyof typeof advice>> = {
  amount_too_high: "amount",
  authentication_failed: "confirm",
  authentication_required: "confirm",
  invalid_amount: "amount",
  no_answer: "wait",
  no_payment_method: "noCard",
  payment_too_old: "wait",
  processing_error: "wait",
};

/** Why a recharge failed, as part of a sentence. */
export function failureReason(reason: string): string {
  return reasons[reason] ?? reason.replaceAll("_", " ");
}

/** What can be done about it. */
export function failureAdvice(reason: string): string {
  return advice[ADVICE[reason] ?? "card"];
}
