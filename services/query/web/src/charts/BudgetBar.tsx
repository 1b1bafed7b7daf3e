import type { Money } from "@/api/types";
import { addMoney, compareMoney, formatMoney, formatPerMille, isNegative, negate } from "@/format";
import { text } from "@/text";
import "./charts.css";
import { shareInTenths } from "./donut-data";

export interface BudgetBarProps {
  readonly budget: Money;
  readonly spent: Money;
  readonly policy: "warn" | "refuse_holds";
}

/** From this share of the budget on the bar warns, in tenths of a percent. */
const WARN_AT = 800;

/** How much of a budget is spent: the bar, the exact amounts, and what happens beyond. */
export function BudgetBar({ budget, spent, policy }: BudgetBarProps) {
  const share = shareInTenths(spent.amount, budget.amount);
  const left = addMoney(budget, negate(spent));
  const over = isNegative(left);
  const state =
    over || compareMoney(left, { ...left, amount: "0.00" }) === 0 ? "over" : share >= WARN_AT ? "warn" : "fine";
  const words = text.charts.budget;
  return (
    <div className="budget" data-state={state}>
      <div className="budget-line">
        <span className="budget-of">{words.of(formatMoney(spent), formatMoney(budget))}</span>
        <span className="budget-share">{formatPerMille(share)}</span>
      </div>
      <div
        className="budget-track"
        role="meter"
        aria-label={words.label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.min(100, Math.max(0, Math.round(share / 10)))}
        aria-valuetext={`${words.of(formatMoney(spent), formatMoney(budget))}, ${formatPerMille(share)}`}
      >
        <div className="budget-fill" style={{ width: `${String(Math.min(100, Math.max(0, share / 10)))}%` }} />
      </div>
      <p className="budget-note">
        <strong>{over ? words.over(formatMoney(negate(left))) : words.remaining(formatMoney(left))}</strong>{" "}
        {policy === "warn" ? words.warn : words.refuse}
      </p>
    </div>
  );
}
