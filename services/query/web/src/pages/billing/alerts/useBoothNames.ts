import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";

import { boothsQuery } from "@/api/queries/booths";
import { useAccount } from "@/session/context";

/** The name of a booth as people gave it, else its id. They are asked for where one is to be named. */
export function useBoothNames(enabled: boolean): (boothId: string) => string {
  const { accountId } = useAccount();
  const { data } = useQuery({ ...boothsQuery(accountId), enabled });
  return useCallback(
    (boothId) => data?.data.find((booth) => booth.booth_id === boothId)?.name ?? boothId,
    [data],
  );
}
