import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keepWithin } from "../keep";
import { keys } from "../keys";
import type { paths } from "../schema";

export type UsageQuery = NonNullable<paths["/v1/accounts/{account_id}/usage"]["get"]["parameters"]["query"]>;
export type FleetUsageQuery = NonNullable<paths["/v1/fleet/usage"]["get"]["parameters"]["query"]>;

/** Usage over time. Old buckets stay on the screen while new ones are fetched. */
export const usageQuery = (accountId: string, query: UsageQuery) =>
  queryOptions({
    queryKey: keys.usage(accountId, query),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/accounts/{account_id}/usage", { params: { path: { account_id: accountId }, query }, signal })),
    placeholderData: keepWithin(accountId),
  });

export const fleetUsageQuery = (query: FleetUsageQuery) =>
  queryOptions({
    queryKey: keys.fleetUsage(query),
    queryFn: ({ signal }) => unwrap(api.GET("/v1/fleet/usage", { params: { query }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 15_000,
  });
