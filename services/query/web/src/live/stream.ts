import type { StreamBalance, StreamReady, StreamResync, StreamStale, StreamUsage, Transaction } from "@/api/types";

import { FetchSource } from "./fetch-source";
import type { LiveSource } from "./source";

/** `stale`: connected, but the service cannot see what is new. */
export type LiveState = "connecting" | "open" | "stale" | "paused";

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
  /** With the moment up to which everything was told: where it is `stale` the service's, else that of the last event. */
  onState: (state: LiveState, lastEventAt: number | null) => void;
  /** What the stream is read from, for tests. */
  makeSource?: ((url: string) => LiveSource) | undefined;
}

const FLUSH_MS = 200;
const REOPEN_MS_MIN = 2_000;
const REOPEN_MS_MAX = 30_000;
// A comment comes at least every 15 s. A phone that loses its network is told by nobody that the connection is gone.
const SILENCE_MS = 35_000;
const WATCH_MS = 5_000;

/**
 * The one stream of a tab. Where a connection ends, or nothing comes any more, it opens a new one behind the last id that
 * was seen, so that nothing is missed or comes twice.
 */
export class LiveStream {
  private source: LiveSource | null = null;
  private lastId: string | null = null;
  private lastEventAt: number | null = null;
  private staleSince: number | null = null;
  private heardAt = 0;
  private watchTimer: ReturnType<typeof setInterval> | undefined;
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
    const source = this.options.makeSource?.(url) ?? new FetchSource(url);
    this.source = source;
    this.heardAt = Date.now();
    this.staleSince = null;
    this.watchTimer ??= setInterval(() => this.watch(), WATCH_MS);
    source.addEventListener("alive", () => {
      if (source === this.source) this.heardAt = Date.now();
    });
    source.addEventListener("open", () => {
      this.reopenMs = REOPEN_MS_MIN;
      this.touch();
    });
    source.addEventListener("error", () => {
      if (source !== this.source) return;
      this.lost();
      this.reopenLater();
    });
    this.on<StreamReady>(source, "ready", (data) => (this.batch.ready = data));
    this.on<StreamResync>(source, "resync", (data) => {
      this.batch = { ...emptyBatch(), resync: data };
    });
    this.on<StreamStale>(source, "stale", (data) => {
      this.staleSince = typeof data.since === "string" ? Date.parse(data.since) : null;
    });
    this.on<StreamBalance>(source, "balance", (data) => (this.batch.balance = data));
    this.on<Transaction>(source, "transaction", (data) => this.batch.transactions.push(data));
    this.on<StreamUsage>(source, "usage", (data) => this.batch.usage.push(data));
  }

  /** There is no connection, and none is tried before `open`. */
  lost(): void {
    clearTimeout(this.reopenTimer);
    this.source?.close();
    this.source = null;
    this.options.onState("paused", this.lastEventAt);
  }

  close(): void {
    clearTimeout(this.reopenTimer);
    clearInterval(this.watchTimer);
    this.watchTimer = undefined;
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
    this.heardAt = this.lastEventAt;
    if (this.staleSince === null) this.options.onState("open", this.lastEventAt);
    else this.options.onState("stale", this.staleSince);
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

  /** Also what finds out first after a computer slept. */
  private watch(): void {
    if (this.source === null || Date.now() - this.heardAt < SILENCE_MS) return;
    this.lost();
    this.open();
  }

  private reopenLater(): void {
    clearTimeout(this.reopenTimer);
    this.reopenTimer = setTimeout(() => this.open(), this.reopenMs);
    this.reopenMs = Math.min(this.reopenMs * 2, REOPEN_MS_MAX);
  }
}

export function emptyBatch(): LiveBatch {
  return { ready: null, resync: null, balance: null, transactions: [], usage: [] };
}
