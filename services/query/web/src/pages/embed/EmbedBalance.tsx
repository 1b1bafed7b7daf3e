import { useQuery } from "@tanstack/react-query";

import { balanceQuery } from "@/api/queries/account";
import { CoinIcon } from "@/components/CoinIcon";
import { MoneyText } from "@/components/MoneyText";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { useAccount } from "@/session/context";
import { text } from "@/text";

export function EmbedBalance() {
  const { accountId } = useAccount();
  const query = useQuery(balanceQuery(accountId));
  return (
    <QueryState query={query} skeleton={<Skeleton height="3rem" width="12rem" />}>
      {(balance) => (
        <div className="row">
          <CoinIcon size={40} />
          <div>
            <p className="muted small">{text.dashboard.currentBalance}</p>
            <p className="embed-amount">
              <MoneyText money={balance.balance} />
            </p>
          </div>
        </div>
      )}
    </QueryState>
  );
}
