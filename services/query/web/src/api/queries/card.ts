import { queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { SavedCard } from "../contract";
import { keys } from "../keys";
import { ApiProblem } from "../problem";

/** How an account pays: with a saved card, with none yet, or, where no provider is connected, with the sandbox's. */
export type Card =
  | { kind: "saved"; live: boolean; provider: string; setAt: string }
  | { kind: "none" }
  | { kind: "sandbox" };

/** A card that is saved on the provider's page is known a moment later. */
const REFETCH_MS = 5_000;

export const cardQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.card(accountId),
    queryFn: async ({ signal }): Promise<Card> => {
      try {
        return cardOf(
          await unwrap(api.GET("/v1/accounts/{account_id}/payment-method", { ...pathOf(accountId), signal })),
        );
      } catch (error) {
        return cardOfProblem(error);
      }
    },
    refetchInterval: ({ state }) => (state.data?.kind === "none" ? REFETCH_MS : false),
    staleTime: 30_000,
  });

export function cardOf(saved: SavedCard): Card {
  if (saved.payment_method_id === null) return { kind: "none" };
  return { kind: "saved", live: saved.live, provider: saved.provider, setAt: saved.set_at };
}

/** What a refusal says about the card; any other is thrown on. */
export function cardOfProblem(error: unknown): Card {
  if (error instanceof ApiProblem && error.code === "no_payment_provider") return { kind: "sandbox" };
  if (error instanceof ApiProblem && error.status === 404) return { kind: "none" };
  throw error;
}

/** The provider's page on which a card is saved. */
export async function setUpCard(accountId: string): Promise<URL> {
  const { url } = await unwrap(api.POST("/v1/accounts/{account_id}/payment-method/setup", pathOf(accountId)));
  const page = new URL(url);
  if (page.protocol !== "https:" && page.hostname !== "127.0.0.1") throw new Error(`unexpected address ${page.origin}`);
  return page;
}

export function forgetCard(accountId: string): Promise<unknown> {
  return unwrap(api.DELETE("/v1/accounts/{account_id}/payment-method", pathOf(accountId)));
}

const pathOf = (accountId: string) => ({ params: { path: { account_id: accountId } } });
