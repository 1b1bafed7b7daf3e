import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keys } from "../keys";

/** The first accounts that match, by name or id. Admins only. */
export const accountsQuery = (q: string, limit = 50) =>
  queryOptions({
    queryKey: [...keys.accounts(q), limit],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/accounts", { params: { query: q === "" ? { limit } : { q, limit } }, signal })),
    placeholderData: keepPreviousData,
  });
