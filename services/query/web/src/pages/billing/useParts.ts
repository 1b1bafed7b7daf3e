import { useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useEffect } from "react";

import { balanceQuery, partsQuery } from "@/api/queries/account";
import type { Balance } from "@/api/types";

import { waitFor } from "./parts";

/**
 * What the balance is made of, all figures of one moment: read again while it lies behind the balance that the stream
 * keeps current, at most once a second however many charges come.
 */
export function useParts(accountId: string): UseQueryResult<Balance> {
  const queryClient = useQueryClient();
  const query = useQuery({
    ...partsQuery(accountId),
    // The balance as it was answered has its parts; as the stream changed it, it has none.
    initialData: () => {
      const known = queryClient.getQueryData(balanceQuery(accountId).queryKey);
      return known?.parts ? known : undefined;
    },
    initialDataUpdatedAt: () => queryClient.getQueryState(balanceQuery(accountId).queryKey)?.dataUpdatedAt,
  });
  const newest = useQuery({ ...balanceQuery(accountId), select: (balance) => balance.seq }).data;
  const { dataUpdatedAt, errorUpdatedAt, isFetching, refetch } = query;
  const isBehind = query.data !== undefined && newest !== undefined && query.data.seq < newest;

  useEffect(() => {
    if (!isBehind || isFetching) return undefined;
    const timer = setTimeout(() => void refetch(), waitFor({ dataUpdatedAt, errorUpdatedAt, now: Date.now() }));
    return () => clearTimeout(timer);
  }, [isBehind, isFetching, dataUpdatedAt, errorUpdatedAt, refetch]);

  return query;
}
