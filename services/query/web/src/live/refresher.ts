import type { QueryClient } from "@tanstack/react-query";

import { keys } from "@/api/keys";

const REFRESH_MS = 3_000;
const SUMS = ["summary", "usage", "events", "event", "booths", "alerts"];

/** Reads sums again after activity, at most every three seconds: their one source is the server. */
export class Refresher {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lastAt = 0;
  private readonly queryClient: QueryClient;
  private readonly accountId: string;

  constructor(queryClient: QueryClient, accountId: string) {
    this.queryClient = queryClient;
    this.accountId = accountId;
  }

  activity(): void {
    if (this.timer !== undefined) return;
    const wait = Math.max(400, this.lastAt + REFRESH_MS - Date.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.lastAt = Date.now();
      for (const part of SUMS) {
        void this.queryClient.invalidateQueries(
          { queryKey: [...keys.account(this.accountId), part] },
          // A read that takes longer than the pace is not thrown away for the next one.
          { cancelRefetch: false },
        );
      }
    }, wait);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
