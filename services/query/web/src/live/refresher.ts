import type { QueryClient } from "@tanstack/react-query";

import { keys } from "@/api/keys";
import type { Forecast } from "@/api/types";

import type { LiveBatch } from "./stream";

const REFRESH_MS = 3_000;
/** Changed by any entry, also by one that no list has, such as a recharge that failed: all that tells of it is the balance. */
const BY_ENTRIES = ["recharge", "alerts"];
/** Changed by work. */
const BY_WORK = ["summary", "usage", "events", "event", "booths"];
/** Changed by what is no work: purchases, recharges, bonuses. */
const BY_MOVEMENTS = ["purchases"];

/** Reads sums and lists again that a batch may have changed, at most every three seconds: their one source is the server. */
export class Refresher {
  private timer: ReturnType<typeof setTimeout> | undefined;
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
      for (const part of this.due) {
        void this.queryClient.invalidateQueries(
          { queryKey: [...keys.account(this.accountId), part] },
          // A read that takes longer than the pace is not thrown away for the next one.
          { cancelRefetch: false },
        );
      }
      this.due.clear();
      this.rereadForecast();
    }, wait);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.due.clear();
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
