import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { AlertRulesBody } from "../contract";
import { keys } from "../keys";
import type { Alerts } from "../types";

const REFETCH_MS = 15_000;

function readAlerts(accountId: string, minSeq?: number, signal?: AbortSignal): Promise<Alerts> {
  return unwrap(
    api.GET("/v1/accounts/{account_id}/alerts", {
      params: { path: { account_id: accountId }, ...(minSeq === undefined ? {} : { query: { min_seq: minSeq } }) },
      ...(signal === undefined ? {} : { signal }),
    }),
  );
}

/** Rules, how they stand, and what was told. An alert is no activity of its own: it is looked for now and then. */
export const alertsQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.alerts(accountId),
    queryFn: ({ signal }) => readAlerts(accountId, undefined, signal),
    refetchInterval: REFETCH_MS,
  });

/** Sets the rules, and reads how they stand once they are; null while they are on their way. */
export async function putAlerts(accountId: string, body: AlertRulesBody, key: string): Promise<Alerts | null> {
  const { seq } = await unwrap(
    api.PUT("/v1/accounts/{account_id}/alerts", {
      params: { path: { account_id: accountId }, header: { "Idempotency-Key": key } },
      body,
    }),
  );
  if (seq === undefined) return null;
  return readAlerts(accountId, seq).catch(() => null);
}
