import type { QueryClient } from "@tanstack/react-query";

import { keys } from "@/api/keys";
import type { Forecast } from "@/api/types";

import type { LiveBatch } from "./stream";

const REFRESH_MS = 3_000;
/** By then history has what a batch told of; an answer from before may lack it, where the server could not tell. */
const SETTLE_MS = 6_000;
/** Changed by any entry, also by one that no list has, such as a recharge that failed: all that tells of it is the balance. */
const BY_ENTRIES = ["recharge", "alerts"];
/** Changed by work. */
const BY_WORK = ["summary", "usage", "events", "event", "booths"];
/** Changed by what is no work: purchases, recharges, bonuses. */
const BY_MOVEMENTS = ["purchases"];

/** Reads sums and lists again that a batch may have changed, at most every three seconds: their one source is the server. */
export class Refresher {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private settleTimer: ReturnType<typeof setTimeout> | undefined;
  private lastAt = 0;
  private readonly due = new Set<string>();
  private readonly queryClient: QueryClient;
  private readonly accountId: string;

  constructor(queryClient: QueryClient, accountId: string) {
    this.queryClient = queryClient;
    this.accountId = accountId;
  }

  follow({ balance, usage, transactions }: LiveBatch): void {
    const worked = usage.length > 0 || transactions.length > 0;
    if (balance !== null || worked) this.dueAre(BY_ENTRIES);
    if (worked) this.dueAre(BY_WORK);
    if (transactions.some(({ type }) => type !== "consume")) this.dueAre(BY_MOVEMENTS);
    if (this.due.size === 0 || this.timer !== undefined) return;
    const wait = Math.max(400, this.lastAt + REFRESH_MS - Date.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.lastAt = Date.now();
      if (BY_WORK.some((part) => this.due.has(part))) this.settleLater();
      this.reread(this.due);
      this.due.clear();
      this.rereadForecast();
    }, wait);
  }

  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.settleTimer);
    this.timer = undefined;
    this.due.clear();
  }

  private reread(parts: Iterable<string>): void {
    for (const part of parts) {
      void this.queryClient.invalidateQueries(
        { queryKey: [...keys.account(this.accountId), part] },
        // A read that takes longer than the pace is not thrown away for the next one.
        { cancelRefetch: false },
      );
    }
  }

  /** Once more when nothing came for a while, for the sums of the last batch. */
  private settleLater(): void {
    clearTimeout(this.settleTimer);
    this.settleTimer = setTimeout(() => {
      this.reread(BY_WORK);
    }, SETTLE_MS);
  }

  /** One that had too little to say; the others follow at their own pace. */
  private rereadForecast(): void {
    void this.queryClient.invalidateQueries({
      queryKey: [...keys.account(this.accountId), "forecast"],
      predicate: ({ state }) => (state.data as Forecast | undefined)?.reason === "not_enough_data",
    });
  }

  private dueAre(parts: readonly string[]): void {
    for (const part of parts) this.due.add(part);
  }
}
