import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keys } from "../keys";

export const rechargeQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.recharge(accountId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/accounts/{account_id}/recharge", { params: { path: { account_id: accountId } }, signal })),
  });

export interface RechargeRuleBody {
  enabled: boolean;
  threshold: string;
  amount: string | null;
  target: string | null;
  daily_cap: string | null;
  monthly_cap: string | null;
}

export function putRecharge(accountId: string, body: RechargeRuleBody): Promise<unknown> {
  return unwrap(
    api.PUT("/v1/accounts/{account_id}/recharge", {
      params: { path: { account_id: accountId }, header: { "Idempotency-Key": crypto.randomUUID() } },
      body,
    }),
  );
}
