import { useQuery } from "@tanstack/react-query";

import type { Recharge } from "@/api/types";
import { rechargeQuery } from "@/api/queries/billing";
import { Badge } from "@/components/Badge";
import { Icon } from "@/components/Icon";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatCount, formatDateTime, formatMoney } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { failureAdvice, failureReason } from "./recharge-failure";
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
        <Failure failure={rule.last_failure} nextAt={rule.next_attempt_at ?? null} zone={zone} />
      ) : null}
    </div>
  );
}

interface FailureProps {
  failure: NonNullable<Recharge["last_failure"]>;
  nextAt: string | null;
  zone: string;
}

/** Why nothing was bought, what to do, and when it is tried again. */
function Failure({ failure: { reason, failures }, nextAt, zone }: FailureProps) {
  return (
    <div className="recharge-failed" role="alert">
      <Icon name="alert" size={16} />
      <div className="stack-tight">
        <p>
          <strong>{recharge.failure(failureReason(reason))}</strong>{" "}
          {failures > 1 ? recharge.failures(formatCount(failures)) : null}
        </p>
        <p>{failureAdvice(reason)}</p>
        {nextAt === null ? null : <p className="recharge-next">{recharge.nextTry(formatDateTime(nextAt, zone))}</p>}
      </div>
    </div>
  );
}
