import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { Page } from "playwright-core";

import type { TestAccount } from "./account";
import { env } from "./env";
import { send } from "./http";

export interface Received {
  readonly id: string;
  readonly timestamp: string;
  readonly signatures: readonly string[];
  readonly body: string;
}

/** An endpoint that keeps what it is sent, and answers what it is told to. */
export class Hook {
  readonly received: Received[] = [];
  status = 204;
  private server: Server | null = null;

  static async start(): Promise<Hook> {
    const hook = new Hook();
    hook.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const header = (name: string): string => String(request.headers[name] ?? "");
        hook.received.push({
          id: header("webhook-id"),
          timestamp: header("webhook-timestamp"),
          signatures: header("webhook-signature").split(" "),
          body: Buffer.concat(chunks).toString("utf8"),
        });
        response.writeHead(hook.status).end();
      });
    });
    const { server } = hook;
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return hook;
  }

  get url(): string {
    const { port } = this.server?.address() as AddressInfo;
    return `http://127.0.0.1:${String(port)}/hooks`;
  }

  stop(): void {
    this.server?.close();
    this.server?.closeAllConnections();
  }
}

/** How a request is signed with a secret, as https://www.standardwebhooks.com has it. */
export function signatureOf(secret: string, { id, timestamp, body }: Received): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}

/**
 * Ingest lists endpoints, and a browser asks query. Where query does not pass these reads on, the test does, so that the
 * page is tested over the same answers.
 */
export async function passListsOn(page: Page, account: TestAccount): Promise<void> {
  await page.route(/\/v1\/accounts\/[^/]+\/webhooks(\/[^/]+\/dead)?$/, async (route) => {
    if (route.request().method() !== "GET") return route.fallback();
    const first = await route.fetch();
    if (first.status() !== 404) return route.fulfill({ response: first });
    const { pathname } = new URL(route.request().url());
    const { status, body } = await send("GET", `${env.ingestUrl}${pathname}`, account.key);
    return route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
  });
}
