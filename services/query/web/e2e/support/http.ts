import { setTimeout as pause } from "node:timers/promises";

import { env } from "./env";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const PATIENCE_MS = 60_000;

/** One request, with JSON both ways. */
export async function send(
  method: string,
  url: string,
  key: string,
  body?: unknown,
  extra: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", ...extra },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = (response.headers.get("Content-Type") ?? "").includes("json");
  return { status: response.status, body: json && text !== "" ? (JSON.parse(text) as unknown) : text };
}

/** A command, repeated with its key while it is under way or the service asks for time. */
export async function command<T>(method: string, path: string, body: unknown, idempotencyKey: string): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await send(method, `${env.ingestUrl}${path}`, env.adminKey, body, {
      "Idempotency-Key": `"${idempotencyKey}"`,
    });
    if (answer.status === 200 || answer.status === 201) return answer.body as T;
    const again = answer.status === 202 || answer.status === 409 || answer.status === 429 || answer.status === 503;
    if (!again || Date.now() > until)
      throw new Error(`${method} ${path}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
    await pause(100);
  }
}

/** A read at query, as the administrator. */
export async function read<T>(path: string): Promise<T> {
  const answer = await send("GET", `${env.queryUrl}${path}`, env.adminKey);
  if (answer.status !== 200) throw new Error(`GET ${path}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
  return answer.body as T;
}

/** Asks until the answer is there; never a fixed wait. */
export async function until<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await ask();
    if (found !== null) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(60);
  }
}
