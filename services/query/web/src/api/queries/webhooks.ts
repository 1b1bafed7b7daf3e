import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, unwrap } from "../client";
import type { Webhook } from "../contract";
import { keys } from "../keys";

const REFETCH_MS = 15_000;
/** While something is on its way. */
const REFETCH_SOON_MS = 2_000;

/** Where the account is told. What waits and what was given up changes by itself. */
export const webhooksQuery = (accountId: string) =>
  queryOptions({
    queryKey: keys.webhooks(accountId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/accounts/{account_id}/webhooks", { params: { path: { account_id: accountId } }, signal })),
    refetchInterval: ({ state: { data } }) => {
      if (data === undefined) return false;
      return data.data.some((webhook) => webhook.waiting > 0) ? REFETCH_SOON_MS : REFETCH_MS;
    },
  });

const pathOf = (accountId: string, webhookId: string) => ({
  params: { path: { account_id: accountId, webhook_id: webhookId } },
});

/** The oldest hundred that were given up; `count` is how many the list of endpoints says there are. */
export const deadDeliveriesQuery = (accountId: string, webhookId: string, count: number) =>
  queryOptions({
    queryKey: [...keys.deadDeliveries(accountId, webhookId), count],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/webhooks/{webhook_id}/dead", { ...pathOf(accountId, webhookId), signal }),
      ),
  });

export function createWebhook(accountId: string, body: { url: string; event_types: string[] }): Promise<Webhook> {
  return unwrap(
    api.POST("/v1/accounts/{account_id}/webhooks", { params: { path: { account_id: accountId } }, body }),
  );
}

export function rotateWebhook(accountId: string, webhookId: string): Promise<Webhook> {
  return unwrap(api.POST("/v1/accounts/{account_id}/webhooks/{webhook_id}/rotate", pathOf(accountId, webhookId)));
}

export function pingWebhook(accountId: string, webhookId: string): Promise<unknown> {
  return unwrap(api.POST("/v1/accounts/{account_id}/webhooks/{webhook_id}/ping", pathOf(accountId, webhookId)));
}

export function confirmWebhook(accountId: string, webhookId: string, code: string): Promise<Webhook> {
  return unwrap(
    api.POST("/v1/accounts/{account_id}/webhooks/{webhook_id}/confirm", {
      ...pathOf(accountId, webhookId),
      body: { code },
    }),
  );
}

export function deleteWebhook(accountId: string, webhookId: string): Promise<unknown> {
  return unwrap(api.DELETE("/v1/accounts/{account_id}/webhooks/{webhook_id}", pathOf(accountId, webhookId)));
}

/** Tries one again, or all that were given up. */
export function replayDeliveries(
  accountId: string,
  webhookId: string,
  messageId: string | null,
): Promise<{ replayed: number }> {
  return unwrap(
    api.POST("/v1/accounts/{account_id}/webhooks/{webhook_id}/replay", {
      ...pathOf(accountId, webhookId),
      body: messageId === null ? {} : { message_id: messageId },
    }),
  );
}
