import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keepWithin } from "../keep";
import type { EventBody } from "../contract";
import { keys } from "../keys";
import type { EventListed } from "../types";
import type { UsageQuery } from "./usage";

const PAGE = 50;

/** The account's events, newest activity first. */
export const eventsQuery = (accountId: string, q: string) =>
  infiniteQueryOptions({
    queryKey: keys.events(accountId, { q }),
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/events", {
          params: {
            path: { account_id: accountId },
            query: { limit: PAGE, ...(q === "" ? {} : { q }), ...(pageParam === null ? {} : { cursor: pageParam }) },
          },
          signal,
        }),
      ),
    getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? null) : null),
    placeholderData: keepWithin(accountId),
  });

// The events with the newest activity; an older one is shown by its id.
const NAMES_MAX = 200;

/** What events are called, by id: as people named them, else the id. */
export const eventNamesQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.eventNames(accountId),
    queryFn: async ({ signal }) => {
      const page = await unwrap(
        api.GET("/v1/accounts/{account_id}/events", {
          params: { path: { account_id: accountId }, query: { limit: NAMES_MAX } },
          signal,
        }),
      );
      return Object.fromEntries(page.data.map((event) => [event.event_id, event.name ?? event.event_id]));
    },
    staleTime: 5 * 60_000,
  });

export const eventQuery = (accountId: string, eventId: string) =>
  queryOptions({
    queryKey: keys.event(accountId, eventId, "facts"),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/events/{event_id}", {
          params: { path: { account_id: accountId, event_id: eventId } },
          signal,
        }),
      ),
  });

/** All the event used, a row a service and engine. */
export const eventUsageQuery = (accountId: string, eventId: string) =>
  queryOptions({
    queryKey: keys.event(accountId, eventId, "usage"),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/events/{event_id}/usage", {
          params: { path: { account_id: accountId, event_id: eventId } },
          signal,
        }),
      ),
  });

/** The event's usage over time. */
export const eventTimelineQuery = (accountId: string, eventId: string, query: UsageQuery) =>
  queryOptions({
    queryKey: keys.event(accountId, eventId, "timeline", query),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/usage", {
          params: { path: { account_id: accountId }, query: { ...query, event_id: [eventId] } },
          signal,
        }),
      ),
    placeholderData: keepWithin(accountId),
  });

export const estimateQuery = (accountId: string, eventId: string, guests: number, operations: string) =>
  queryOptions({
    queryKey: keys.event(accountId, eventId, "estimate", { guests, operations }),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/events/{event_id}/estimate", {
          params: {
            path: { account_id: accountId, event_id: eventId },
            query: { guests, operations_per_guest: operations },
          },
          signal,
        }),
      ),
    placeholderData: keepWithin(accountId),
    staleTime: 15_000,
  });

/** Defines an event; answers with it as it is from then on. */
export async function putEvent(
  accountId: string,
  eventId: string,
  body: EventBody,
  idempotencyKey: string,
): Promise<EventListed> {
  const path = { account_id: accountId, event_id: eventId };
  const { seq } = await unwrap(
    api.PUT("/v1/accounts/{account_id}/events/{event_id}", {
      params: { path, header: { "Idempotency-Key": idempotencyKey } },
      body,
    }),
  );
  return unwrap(
    api.GET("/v1/accounts/{account_id}/events/{event_id}", { params: { path, query: { min_seq: seq } } }),
  );
}
