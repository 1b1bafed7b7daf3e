import type { Money } from "@/api/types";
import { toMicro } from "@/format";

export type BalanceLevel = "fine" | "low" | "empty";

// Where auto-recharge would buy by default.
const LOW_MICRO = toMicro("10.00");

export function balanceLevel(available: Money): BalanceLevel {
  const micro = toMicro(available.amount);
  if (micro <= 0n) return "empty";
  return micro < LOW_MICRO ? "low" : "fine";
}
