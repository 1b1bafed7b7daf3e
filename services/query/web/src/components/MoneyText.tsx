import type { Money } from "@/api/types";
import { formatMoney, type MoneyStyle } from "@/format";

/** An amount; what is rounded to cents has the exact amount in its title. */
export function MoneyText({ money, places = "cents", signed = false }: { money: Money } & MoneyStyle) {
  const shown = formatMoney(money, { places, signed });
  const exact = formatMoney(money, { places: "exact", signed });
  return (
    <span className="tabular" title={exact === shown ? undefined : exact}>
      {shown}
    </span>
  );
}
