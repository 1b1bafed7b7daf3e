import { useQuery } from "@tanstack/react-query";

import type { Balance } from "@/api/types";
import { balanceQuery } from "@/api/queries/account";
import { Badge } from "@/components/Badge";
import { CoinIcon } from "@/components/CoinIcon";
import { ErrorBoundary } from "@/components/ErrorBoundary";
import { MoneyText } from "@/components/MoneyText";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatMoney, formatTime, isNegative, isZero, utcTitle } from "@/format";
import { BuyCredits } from "@/purchase/BuyCredits";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { balanceLevel } from "./balance-level";
import "./dashboard.css";
import { ForecastLine } from "./ForecastLine";

/** The balance beside its coin, and directly right of it the way to raise it. */
export function BalancePanel() {
  const { accountId } = useAccount();
  const query = useQuery(balanceQuery(accountId));
  return (
    <section className="panel balance" aria-label={text.dashboard.currentBalance}>
      <QueryState query={query} skeleton={<Skeleton height="4.5rem" width="14rem" />}>
        {(balance) => <BalanceNow balance={balance} />}
      </QueryState>
      <ErrorBoundary>
        <BuyCredits />
      </ErrorBoundary>
      {query.data === undefined ? null : <ForecastLine available={query.data.available} />}
    </section>
  );
}

function BalanceNow({ balance }: { balance: Balance }) {
  const { zone } = useAccount();
  const level = balanceLevel(balance.available);
  const time = formatTime(balance.as_of, zone);
  const holds = !isZero(balance.held) && !isNegative(balance.held);
  return (
    <div className={`balance-now balance-${level}`} data-testid="balance">
      <CoinIcon size={48} />
      <div>
        <h2 className="balance-label">{text.dashboard.currentBalance}</h2>
        <span className="balance-amount" data-testid="balance-amount">
          <MoneyText money={balance.balance} />
        </span>
        <p className="balance-note">
          {level === "low" ? (
            <Badge tone="warning" icon="alert">
              {text.dashboard.low}
            </Badge>
          ) : null}
          {level === "empty" ? (
            <Badge tone="danger" icon="alert">
              {text.dashboard.empty}
            </Badge>
          ) : null}
          <span title={utcTitle(balance.as_of)}>{text.common.asOf(time)}</span>
          {holds ? <span>{text.dashboard.held(formatMoney(balance.held))}</span> : null}
        </p>
      </div>
    </div>
  );
}
