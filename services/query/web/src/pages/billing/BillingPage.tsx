import { useQuery } from "@tanstack/react-query";

import { balanceQuery } from "@/api/queries/account";
import { CoinIcon } from "@/components/CoinIcon";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { usePageTitle } from "@/components/usePageTitle";
import { zoneCity } from "@/format";
import { BuyCredits } from "@/purchase/BuyCredits";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { AlertsPanel } from "./alerts/AlertsPanel";
import "./billing.css";
import { CardPanel } from "./CardPanel";
import { PartsPanel } from "./PartsPanel";
import { PurchasesPanel } from "./PurchasesPanel";
import { RechargePanel } from "./RechargePanel";

export default function BillingPage() {
  const { accountId, zone } = useAccount();
  usePageTitle(text.billing.title);
  const balance = useQuery(balanceQuery(accountId));
  return (
    <div className="page">
      <header className="page-head">
        <h1>{text.billing.title}</h1>
        <p className="page-note" title={zone}>
          {text.common.zone(zoneCity(zone))}
        </p>
      </header>
      <Panel title={text.billing.buy.dialogTitle}>
        <div className="billing-buy">
          <QueryState query={balance} skeleton={<Skeleton height="3rem" width="12rem" />}>
            {(data) => (
              <div className="billing-balance">
                <CoinIcon size={40} />
                <div>
                  <p className="muted small">{text.dashboard.currentBalance}</p>
                  <p className="billing-amount">
                    <MoneyText money={data.balance} />
                  </p>
                </div>
              </div>
            )}
          </QueryState>
          <BuyCredits />
        </div>
      </Panel>
      <div className="columns">
        <RechargePanel />
        <div className="billing-side">
          <CardPanel />
          <PartsPanel />
        </div>
      </div>
      <AlertsPanel />
      <PurchasesPanel />
    </div>
  );
}
