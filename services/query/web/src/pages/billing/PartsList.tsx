import type { Balance, BalancePart } from "@/api/types";
import { MoneyText } from "@/components/MoneyText";
import { formatDate, isZero, negate } from "@/format";
import { text } from "@/text";

const { parts: words } = text.billing;

/** Purchased credits and each bonus with its end, less what is set aside: that adds up to what is left to use. */
export function PartsList({ balance, zone }: { balance: Balance; zone: string }) {
  const parts = balance.parts ?? [];
  return (
    <div className="stack-tight">
      <dl className="parts">
        {parts.map((part) => (
          <div className="part" key={`${part.kind}-${String(part.seq)}`}>
            <dt>
              {words[part.kind]} <span className="muted">{expiryText(part, zone)}</span>
            </dt>
            <dd className="num">
              <MoneyText money={part.amount} />
            </dd>
          </div>
        ))}
        {isZero(balance.held) ? null : (
          <div className="part">
            <dt>{words.held}</dt>
            <dd className="num">
              <MoneyText money={negate(balance.held)} />
            </dd>
          </div>
        )}
        <div className="part part-total">
          <dt>{words.available}</dt>
          <dd className="num">
            <MoneyText money={balance.available} />
          </dd>
        </div>
        {balance.credit_limit && !isZero(balance.credit_limit) ? (
          <div className="part part-aside">
            <dt>{words.creditLimit}</dt>
            <dd className="num">
              <MoneyText money={balance.credit_limit} />
            </dd>
          </div>
        ) : null}
      </dl>
      {parts.some((part) => part.kind === "bonus") ? <p className="muted small">{words.order}</p> : null}
    </div>
  );
}

function expiryText(part: BalancePart, zone: string): string {
  return part.expires_at ? words.expires(formatDate(part.expires_at, zone)) : words.never;
}
