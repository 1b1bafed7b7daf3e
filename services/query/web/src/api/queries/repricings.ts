import { infiniteQueryOptions, queryOptions, type QueryClient } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { NewRepricing, Repricing, RepricingPreview, RepricingRun } from "../contract";
import { keys } from "../keys";

/** Charges of one request: what a person who stops it waits for. */
const CHARGES = 200;

export const repricingsQuery = infiniteQueryOptions({
  queryKey: [...keys.repricings, "list"],
  initialPageParam: null as string | null,
  queryFn: ({ pageParam, signal }) =>
    unwrap(
      api.GET("/v1/repricings", {
        params: { query: { limit: 50, ...(pageParam === null ? {} : { cursor: pageParam }) } },
        signal,
      }),
    ),
  getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? null) : null),
});

export const repricingQuery = (repricingId: string) =>
  queryOptions({
    queryKey: keys.repricing(repricingId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/repricings/{repricing_id}", { params: { path: { repricing_id: repricingId } }, signal })),
  });

/** The lines of a preview: the service answers them once, where it is made, and this tab keeps them. */
export const previewQuery = (repricingId: string) =>
  queryOptions({
    queryKey: keys.repricingPreview(repricingId),
    queryFn: (): RepricingPreview => {
      throw new Error("a preview is made, not asked for");
    },
    enabled: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
  });

export function previewRepricing(asked: NewRepricing): Promise<RepricingPreview> {
  return unwrap(api.POST("/v1/repricings", { body: asked }));
}

/** Shows a preview that was just made at once: another server may not have heard of it yet. */
export function keepPreview(queryClient: QueryClient, preview: RepricingPreview): void {
  queryClient.setQueryData(previewQuery(preview.repricing_id).queryKey, preview);
  const { accounts, ...head } = preview;
  const untouched = accounts.map(({ account_id, as_of_seq, changes, was, would_be, difference }) => ({
    ...{ account_id, as_of_seq, changes, was, would_be, difference },
    ...{ applied: 0, undone: 0, posted: { ...was, amount: "0.00" } },
  }));
  const shown: Repricing = { ...head, applied: 0, undone: 0, accounts: untouched };
  queryClient.setQueryData(repricingQuery(preview.repricing_id).queryKey, shown);
}

export type Way = "apply" | "undo";

/** The next charges of a re-pricing. Nothing is posted twice, however often they are asked for. */
export function runRepricing(
  way: Way,
  { repricing_id, digest }: Pick<Repricing, "repricing_id" | "digest">,
  { after, reason }: { after: string | null; reason: string | null },
): Promise<RepricingRun> {
  const asked = {
    params: { path: { repricing_id } },
    body: { digest, limit: CHARGES, ...(after === null ? {} : { after }), ...(reason === null ? {} : { reason }) },
  };
  return unwrap(
    way === "apply"
      ? api.POST("/v1/repricings/{repricing_id}/apply", asked)
      : api.POST("/v1/repricings/{repricing_id}/undo", asked),
  );
}
