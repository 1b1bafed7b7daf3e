import { bearerHeader } from "@/api/client";

import { CLOSED, type LiveListener, type LiveSource } from "./source";
import { SseParser } from "./sse";

const OPEN = 1;

/**
 * A stream read by `fetch`. An `EventSource` cannot send a bearer token, and does not tell of the comments by which one
 * knows that a quiet stream is alive. It never connects again by itself: once the stream has ended, it is closed.
 */
export class FetchSource implements LiveSource {
  readyState = 0;
  private readonly listeners = new Map<string, LiveListener[]>();
  private readonly ending = new AbortController();

  constructor(url: string) {
    void this.run(url);
  }

  addEventListener(name: string, listener: LiveListener): void {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]);
  }

  close(): void {
    this.readyState = CLOSED;
    this.ending.abort();
  }

  private tell(name: string, data = "", lastEventId = ""): void {
    for (const listener of this.listeners.get(name) ?? []) listener({ data, lastEventId });
  }

  private async run(url: string): Promise<void> {
    try {
      const headers = { Accept: "text/event-stream", ...bearerHeader() };
      const response = await fetch(url, { headers, signal: this.ending.signal, cache: "no-store" });
      if (response.ok && response.body !== null) {
        this.readyState = OPEN;
        this.tell("open");
        await this.read(response.body);
      }
    } catch {
      // Refused, cut off, closed by us: who listens is told the same, and asks again what is true.
    }
    if (this.ending.signal.aborted) return;
    this.readyState = CLOSED;
    this.tell("error");
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.tell("alive");
      for (const { name, data, lastId } of parser.feed(decoder.decode(value, { stream: true }))) {
        this.tell(name, data, lastId);
      }
    }
  }
}
