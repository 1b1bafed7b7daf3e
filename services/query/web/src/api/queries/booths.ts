import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keys } from "../keys";

const BOOTHS_MAX = 200;

export const boothsQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.booths(accountId),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/booths", {
          params: { path: { account_id: accountId }, query: { limit: BOOTHS_MAX } },
          signal,
        }),
      ),
  });

export function putBooth(accountId: string, boothId: string, body: { name: string | null; paused: boolean }) {
  return unwrap(
    api.PUT("/v1/accounts/{account_id}/booths/{booth_id}", {
      params: {
        path: { account_id: accountId, booth_id: boothId },
        header: { "Idempotency-Key": crypto.randomUUID() },
      },
      body,
    }),
  );
}
