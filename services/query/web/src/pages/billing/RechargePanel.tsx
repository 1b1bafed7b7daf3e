import { useQuery } from "@tanstack/react-query";

import type { Recharge } from "@/api/types";
import { rechargeQuery } from "@/api/queries/billing";
import { Badge } from "@/components/Badge";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatDateTime, formatMoney } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { RechargeForm } from "./RechargeForm";

const { recharge } = text.billing;
const TONES = { off: "neutral", idle: "success", in_flight: "info", failed: "danger" } as const;
const ICONS = { off: "pause", idle: "check", in_flight: "clock", failed: "alert" } as const;

export function RechargePanel() {
  const { accountId, zone } = useAccount();
  const query = useQuery(rechargeQuery(accountId));
  const rule = query.data;
  return (
    <Panel
      title={recharge.title}
      actions={
        rule === undefined ? undefined : (
          <Badge tone={TONES[rule.state]} icon={ICONS[rule.state]}>
            {recharge.states[rule.state]}
          </Badge>
        )
      }
    >
      <QueryState query={query} skeleton={<Skeleton height="12rem" />}>
        {(data) => (
          <div className="stack">
            <Standing rule={data} zone={zone} />
            <RechargeForm rule={data} />
          </div>
        )}
      </QueryState>
    </Panel>
  );
}

function Standing({ rule, zone }: { rule: Recharge; zone: string }) {
  const cap = (money: Recharge["daily_cap"]): string | null => (money ? formatMoney(money) : null);
  const buys =
    rule.target
      ? recharge.fillsTo(formatMoney(rule.target))
      : rule.amount
        ? recharge.buys(formatMoney(rule.amount))
        : null;
  if (!rule.enabled && !rule.last_failure) return null;
  return (
    <div className="stack-tight">
      {rule.enabled && buys !== null ? <p>{recharge.sentence(formatMoney(rule.threshold), buys)}</p> : null}
      {rule.enabled ? (
        <p className="muted small">
          {recharge.today(formatMoney(rule.spent_today), cap(rule.daily_cap))}
          {" \u00b7 "}
          {recharge.month(formatMoney(rule.spent_this_month), cap(rule.monthly_cap))}
        </p>
      ) : null}
      {rule.last_failure ? (
        <p className="form-problem" role="alert">
          {recharge.failure(rule.last_failure.reason.replaceAll("_", " "))}{" "}
          {rule.next_attempt_at ? recharge.nextTry(formatDateTime(rule.next_attempt_at, zone)) : null}
        </p>
      ) : null}
    </div>
  );
}
