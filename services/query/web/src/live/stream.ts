import type { StreamBalance, StreamReady, StreamResync, StreamUsage, Transaction } from "@/api/types";

import { browserSource, CLOSED, type LiveSource } from "./source";

export type LiveState = "connecting" | "open" | "paused";

/** What came within one turn, gathered so that 200 rows a second are a few renders a second. */
export interface LiveBatch {
  ready: StreamReady | null;
  resync: StreamResync | null;
  balance: StreamBalance | null;
  transactions: Transaction[];
  usage: StreamUsage[];
}

export interface LiveStreamOptions {
  accountId: string;
  onBatch: (batch: LiveBatch) => void;
  onState: (state: LiveState, lastEventAt: number | null) => void;
  /** What the stream is read from; without it, the browser's own `EventSource`. */
  makeSource?: ((url: string) => LiveSource) | undefined;
}

const FLUSH_MS = 200;
const REOPEN_MS_MIN = 2_000;
const REOPEN_MS_MAX = 30_000;

/**
 * The one stream of a tab. The browser resumes a dropped connection by `Last-Event-ID`; where it gives up (an HTTP
 * error), this opens a new one behind the last id that was seen, so that nothing is missed or comes twice.
 */
export class LiveStream {
  private source: LiveSource | null = null;
  private lastId: string | null = null;
  private lastEventAt: number | null = null;
  private reopenMs = REOPEN_MS_MIN;
  private reopenTimer: ReturnType<typeof setTimeout> | undefined;
  private flushTimer: ReturnType<typeof setTimeout> | undefined;
  private batch = emptyBatch();
  private readonly options: LiveStreamOptions;

  constructor(options: LiveStreamOptions) {
    this.options = options;
  }

  open(): void {
    if (this.source !== null) return;
    const after = this.lastId === null ? "" : `?after=${encodeURIComponent(this.lastId)}`;
    const url = `/v1/accounts/${encodeURIComponent(this.options.accountId)}/stream${after}`;
    this.options.onState("connecting", this.lastEventAt);
    const source = (this.options.makeSource ?? browserSource)(url);
    this.source = source;
    source.addEventListener("open", () => {
      this.reopenMs = REOPEN_MS_MIN;
      this.touch();
    });
    source.addEventListener("error", () => {
      if (source !== this.source) return;
      this.options.onState("paused", this.lastEventAt);
      if (source.readyState === CLOSED) this.reopenLater();
    });
    this.on<StreamReady>(source, "ready", (data) => (this.batch.ready = data));
    this.on<StreamResync>(source, "resync", (data) => {
      this.batch = { ...emptyBatch(), resync: data };
    });
    this.on<StreamBalance>(source, "balance", (data) => (this.batch.balance = data));
    this.on<Transaction>(source, "transaction", (data) => this.batch.transactions.push(data));
    this.on<StreamUsage>(source, "usage", (data) => this.batch.usage.push(data));
  }

  close(): void {
    clearTimeout(this.reopenTimer);
    clearTimeout(this.flushTimer);
    this.flushTimer = undefined;
    this.flush();
    this.source?.close();
    this.source = null;
  }

  private on<T>(source: LiveSource, name: string, take: (data: T) => unknown): void {
    source.addEventListener(name, (event) => {
      if (source !== this.source) return;
      if (event.lastEventId !== "") this.lastId = event.lastEventId;
      take(JSON.parse(event.data) as T);
      this.touch();
      this.flushTimer ??= setTimeout(() => {
        this.flushTimer = undefined;
        this.flush();
      }, FLUSH_MS);
    });
  }

  private touch(): void {
    this.lastEventAt = Date.now();
    this.options.onState("open", this.lastEventAt);
  }

  private flush(): void {
    const batch = this.batch;
    this.batch = emptyBatch();
    const isEmpty =
      batch.ready === null &&
      batch.resync === null &&
      batch.balance === null &&
      batch.transactions.length === 0 &&
      batch.usage.length === 0;
    if (!isEmpty) this.options.onBatch(batch);
  }

  private reopenLater(): void {
    this.source?.close();
    this.source = null;
    clearTimeout(this.reopenTimer);
    this.reopenTimer = setTimeout(() => this.open(), this.reopenMs);
    this.reopenMs = Math.min(this.reopenMs * 2, REOPEN_MS_MAX);
  }
}

export function emptyBatch(): LiveBatch {
  return { ready: null, resync: null, balance: null, transactions: [], usage: [] };
}
