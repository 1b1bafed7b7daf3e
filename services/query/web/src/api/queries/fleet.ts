import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { ChosenLetters, LettersAnswer } from "../contract";
import { keys } from "../keys";
import type { paths } from "../schema";

export type Reason = NonNullable<NonNullable<paths["/v1/dead-letters"]["get"]["parameters"]["query"]>["reason"]>;

/** Of one reason, or all. */
export const deadLettersQuery = (reason: Reason | "") =>
  infiniteQueryOptions({
    queryKey: keys.deadLetters({ reason }),
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/dead-letters", {
          params: {
            query: {
              limit: 50,
              ...(reason === "" ? {} : { reason }),
              ...(pageParam === null ? {} : { cursor: pageParam }),
            },
          },
          signal,
        }),
      ),
    getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? null) : null),
    placeholderData: keepPreviousData,
  });

const DRIFT_REFETCH_MS = 10_000;

/** What the drift watch last found; it looks all the time. */
export const driftQuery = queryOptions({
  queryKey: keys.drift,
  queryFn: ({ signal }) => unwrap(api.GET("/v1/fleet/drift", { signal })),
  refetchInterval: DRIFT_REFETCH_MS,
});

/** Has letters judged once more: those that are named, or the next of a reason. A letter is posted once, however often. */
export function redrive(asked: ChosenLetters): Promise<LettersAnswer> {
  return unwrap(api.POST("/v1/dead-letters/redrive", { body: asked }));
}

/** Has nothing charged for letters, for good; the note is kept with them. */
export function dismiss(asked: ChosenLetters & { note: string }): Promise<LettersAnswer> {
  return unwrap(api.POST("/v1/dead-letters/dismiss", { body: asked }));
}

export const fleetAccountsQuery = (q: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.accounts(q), "pages"],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/accounts", {
          params: {
            query: { limit: 100, ...(q === "" ? {} : { q }), ...(pageParam === null ? {} : { cursor: pageParam }) },
          },
          signal,
        }),
      ),
    getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? null) : null),
    placeholderData: keepPreviousData,
  });
