import { api, unwrapWithResponse } from "@/api/client";
import type { PurchaseAnswer } from "@/api/contract";
import { retryAfter } from "@/api/problem";

import type { Attempt } from "./machine";

export interface Sent {
  answer: PurchaseAnswer;
  retryAfterS: number | undefined;
}

export async function sendPurchase(accountId: string, attempt: Attempt): Promise<Sent> {
  const body = {
    amount: attempt.amount,
    ...(attempt.paymentMethod === undefined ? {} : { payment_method: attempt.paymentMethod }),
  };
  const { data, response } = await unwrapWithResponse(
    api.POST("/v1/accounts/{account_id}/purchases", {
      params: { path: { account_id: accountId }, header: { "Idempotency-Key": attempt.key } },
      body,
    }),
  );
  const answer: PurchaseAnswer = response.status === 202 ? { ...data, status: "pending" } : data;
  return { answer, retryAfterS: retryAfter(response) };
}

/** Ends a purchase that waits for its payer, unless its money was taken first. */
export async function cancelPurchase(accountId: string, purchaseId: string): Promise<void> {
  await unwrapWithResponse(
    api.POST("/v1/accounts/{account_id}/purchases/{purchase_id}/cancel", {
      params: { path: { account_id: accountId, purchase_id: purchaseId } },
    }),
  );
}

const CONFIRM_PATH = /\/v1\/accounts\/(?<account>acc_[A-Za-z0-9_-]{1,64})\/purchases\/(?<purchase>[A-Za-z0-9_-]{1,128})\/confirm$/;

/** The sandbox's "your bank asks you": only ever at this origin, whatever host the address names. */
export async function answerAction(actionUrl: string, approve: boolean): Promise<void> {
  const groups = CONFIRM_PATH.exec(new URL(actionUrl, RELATIVE_TO).pathname)?.groups;
  if (groups?.account === undefined || groups.purchase === undefined) throw new Error("unexpected address");
  await unwrapWithResponse(
    api.POST("/v1/accounts/{account_id}/purchases/{purchase_id}/confirm", {
      params: {
        path: { account_id: groups.account, purchase_id: groups.purchase },
        header: { "Idempotency-Key": `confirm-${groups.purchase}-${String(approve)}` },
      },
      body: { approve },
    }),
  );
}

/** An address without an origin is this service's own; only its path counts here. */
const RELATIVE_TO = 'http://localhost';

/** True for the sandbox's own page-less action; any other action is a page of the provider. */
export function isSandboxAction(actionUrl: string): boolean {
  return CONFIRM_PATH.test(new URL(actionUrl, RELATIVE_TO).pathname);
}
