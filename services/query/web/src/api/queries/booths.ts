import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keys } from "../keys";

const BOOTHS_MAX = 200;

const listBooths = (accountId: string, minSeq?: number, signal?: AbortSignal) =>
  unwrap(
    api.GET("/v1/accounts/{account_id}/booths", {
      params: {
        path: { account_id: accountId },
        query: { limit: BOOTHS_MAX, ...(minSeq === undefined ? {} : { min_seq: minSeq }) },
      },
      ...(signal === undefined ? {} : { signal }),
    }),
  );

export const boothsQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.booths(accountId),
    queryFn: ({ signal }) => listBooths(accountId, undefined, signal),
  });

/** Names, pauses or resumes a booth; answers with the list as it is from then on. */
export async function putBooth(accountId: string, boothId: string, body: { name: string; paused: boolean }) {
  const { seq } = await unwrap(
    api.PUT("/v1/accounts/{account_id}/booths/{booth_id}", {
      params: {
        path: { account_id: accountId, booth_id: boothId },
        header: { "Idempotency-Key": crypto.randomUUID() },
      },
      body,
    }),
  );
  return listBooths(accountId, seq);
}
