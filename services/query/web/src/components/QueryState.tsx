import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { ProblemPanel } from "./ProblemPanel";
import { Skeleton } from "./Skeleton";

export interface QueryStateProps<T> {
  query: Pick<UseQueryResult<T>, "data" | "error" | "isPlaceholderData" | "refetch">;
  /** Of the size of the content; without it a block of 12rem. */
  skeleton?: ReactNode;
  children: (data: T) => ReactNode;
}

/**
 * Skeleton, then content; a problem only where there is nothing to show. Old data stays (dimmed when it answers another
 * question) while new is fetched.
 */
export function QueryState<T>({ query, skeleton, children }: QueryStateProps<T>) {
  if (query.data !== undefined) {
    return (
      <div className={query.isPlaceholderData ? "refetching" : undefined} aria-busy={query.isPlaceholderData || undefined}>
        {children(query.data)}
      </div>
    );
  }
  if (query.error !== null) return <ProblemPanel error={query.error} onRetry={() => void query.refetch()} />;
  return skeleton ?? <Skeleton height="12rem" />;
}
