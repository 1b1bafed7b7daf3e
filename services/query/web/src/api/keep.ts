import type { QueryKey } from "@tanstack/react-query";

/** Keeps what is shown while other filters are fetched, but never the numbers of another account. */
export function keepWithin(accountId: string) {
  return <T>(previous: T | undefined, query: { queryKey: QueryKey } | undefined): T | undefined =>
    query?.queryKey[1] === accountId ? previous : undefined;
}
