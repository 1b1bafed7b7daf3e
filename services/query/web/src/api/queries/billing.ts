import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keys } from "../keys";
import type { Balance, Recharge } from "../types";

function readRecharge(accountId: string, minSeq?: number, signal?: AbortSignal): Promise<Recharge> {
  return unwrap(
    api.GET("/v1/accounts/{account_id}/recharge", {
      params: { path: { account_id: accountId }, ...(minSeq === undefined ? {} : { query: { min_seq: minSeq } }) },
      ...(signal === undefined ? {} : { signal }),
    }),
  );
}

/** The rule and how it stands, never older than the balance beside it: it comes from history, the balance does not. */
export const rechargeQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.recharge(accountId),
    queryFn: ({ client, signal }) =>
      readRecharge(accountId, client.getQueryData<Balance>(keys.balance(accountId))?.seq, signal),
  });

export interface RechargeRuleBody {
  enabled: boolean;
  threshold: string;
  amount: string | null;
  target: string | null;
  daily_cap: string | null;
  monthly_cap: string | null;
}

/** Sets the rule; the `seq` of its entry, unless it is on its way. */
export async function putRecharge(accountId: string, body: RechargeRuleBody): Promise<number | undefined> {
  const { seq } = await unwrap(
    api.PUT("/v1/accounts/{account_id}/recharge", {
      params: { path: { account_id: accountId }, header: { "Idempotency-Key": crypto.randomUUID() } },
      body,
    }),
  );
  return seq;
}

/** Returns once what is read has the entry, or could not be waited for. */
export async function rechargeLanded(accountId: string, seq: number | undefined): Promise<void> {
  await readRecharge(accountId, seq).catch(() => undefined);
}
