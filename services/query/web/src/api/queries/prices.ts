import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import { keys } from "../keys";

const FIVE_MINUTES = 300_000;

export const servicesQuery = queryOptions({
  queryKey: keys.services,
  queryFn: ({ signal }) => unwrap(api.GET("/v1/services", { signal })),
  staleTime: FIVE_MINUTES,
});

/** Asked anew each time: a version that was just published must be in it, whatever the browser kept. */
export const priceBooksQuery = queryOptions({
  queryKey: keys.priceBooks,
  queryFn: ({ signal }) => unwrap(api.GET("/v1/price-books", { signal, cache: "no-cache" })),
  staleTime: FIVE_MINUTES,
});

export const currentPriceBookQuery = (currency?: string) =>
  queryOptions({
    queryKey: keys.priceBook("current", currency),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/price-books/current", { params: currency === undefined ? {} : { query: { currency } }, signal }),
      ),
    staleTime: FIVE_MINUTES,
  });

export const priceBookQuery = (version: number) =>
  queryOptions({
    queryKey: keys.priceBook(version),
    queryFn: ({ signal }) => unwrap(api.GET("/v1/price-books/{version}", { params: { path: { version: String(version) } }, signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });
