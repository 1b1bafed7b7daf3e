import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { PublishedBook } from "../contract";
import { ApiProblem } from "../problem";
import type { NewSimulation, SimulatedCharge, Simulation } from "../types";

type Work = NonNullable<NewSimulation["work"]>;
type Period = NonNullable<NewSimulation["period"]>;

/** A published book, or a draft as it is typed: sent as it stands, so that lines in answers are its lines. */
export interface BookToPrice {
  version: number;
  draft?: string;
}

function simulate({ version, draft }: BookToPrice, asked: { work: Work } | { period: Period }): Promise<Simulation> {
  const rest = JSON.stringify(asked);
  const body = draft === undefined ? rest : `{"book":${draft},${rest.slice(1)}`;
  return unwrap(
    api.POST("/v1/price-books/{version}/simulate", {
      params: { path: { version: String(version) } },
      body: {},
      bodySerializer: () => body,
    }),
  );
}

/** What a piece of work costs by a book; the code of the problem where it has no charge. */
export type PricedWork = SimulatedCharge | { noCharge: string };

const NO_CHARGE = ["no_price", "engine_retired", "unit_mismatch", "out_of_range"];

export async function priceWork(book: BookToPrice, work: Work): Promise<PricedWork> {
  try {
    const { work: priced } = await simulate(book, { work });
    return priced ?? { noCharge: "no_price" };
  } catch (error) {
    if (error instanceof ApiProblem && NO_CHARGE.includes(error.code)) return { noCharge: error.code };
    throw error;
  }
}

export async function pricePeriod(book: BookToPrice, period: Period) {
  const { period: priced } = await simulate(book, { period });
  if (!priced) throw new Error("an answer without the period that was asked for");
  return priced;
}

/** Publishes a document as it is typed. */
export function publishBook(version: number, document: string): Promise<PublishedBook> {
  return unwrap(
    api.PUT("/v1/price-books/{version}", {
      params: { path: { version: String(version) } },
      body: document,
      bodySerializer: () => document,
    }),
  );
}

/** The book in force of a currency; null where none is yet. */
export const presentBookQuery = (currency: string) =>
  queryOptions({
    queryKey: ["price-books", "present", currency] as const,
    queryFn: async ({ signal }) => {
      try {
        return await unwrap(api.GET("/v1/price-books/current", { params: { query: { currency } }, signal }));
      } catch (error) {
        if (error instanceof ApiProblem && error.status === 404) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
