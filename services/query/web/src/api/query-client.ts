import { QueryClient } from "@tanstack/react-query";

import { ApiProblem } from "./problem";

const RETRIES_MAX = 2;

export function makeQueryClient(refetchMs: number | false | (() => number) = false): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        gcTime: 5 * 60_000,
        refetchOnWindowFocus: true,
        // Where no stream keeps the page current.
        refetchInterval: refetchMs,
        // What a person has to change (4xx) is not tried again; what passes by itself is.
        retry: (failures, error) => error instanceof ApiProblem && error.isTransient && failures < RETRIES_MAX,
        retryDelay: (attempt, error) =>
          error instanceof ApiProblem && error.retryAfterS !== undefined
            ? Math.min(error.retryAfterS, 10) * 1000
            : Math.min(500 * 2 ** attempt, 4000),
      },
      mutations: { retry: false },
    },
  });
}
