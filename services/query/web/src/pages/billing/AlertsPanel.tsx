import { useQuery } from "@tanstack/react-query";

import type { AlertRule } from "@/api/contract";
import { alertsQuery } from "@/api/queries/billing";
import { Instant } from "@/components/Instant";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatMoney } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

const { alerts } = text.billing;

export function AlertsPanel() {
  const { accountId, zone } = useAccount();
  const query = useQuery(alertsQuery(accountId));
  return (
    <Panel title={alerts.title}>
      <QueryState query={query} skeleton={<Skeleton height="2rem" lines={3} />}>
        {(data) => (
          <div className="stack">
            <div className="stack-tight">
              <h3>{alerts.rules}</h3>
              {data.rules.length === 0 ? <p className="muted small">{alerts.noRules}</p> : null}
              <ul className="notes">
                {data.rules.map((rule) => (
                  <li key={JSON.stringify(rule)}>{ruleText(rule)}</li>
                ))}
              </ul>
            </div>
            <div className="stack-tight">
              <h3>{alerts.history}</h3>
              {data.data.length === 0 ? <p className="muted small">{alerts.noHistory}</p> : null}
              <ul className="parts">
                {data.data.map((alert) => (
                  <li key={alert.alert_id} className="part">
                    <span>{alert.text}</span>
                    <span className="muted">
                      <Instant at={alert.at} zone={zone} />
                    </span>
                  </li>
                ))}
              </ul>
            </div>
          </div>
        )}
      </QueryState>
    </Panel>
  );
}

function ruleText(rule: AlertRule): string {
  if (rule.amount) return alerts.atAmount(formatMoney(rule.amount));
  if (rule.percent !== null && rule.percent !== undefined) return alerts.atPercent(String(rule.percent));
  return rule.kind.replaceAll("_", " ");
}
