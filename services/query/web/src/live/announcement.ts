import type { Money } from "@/api/types";
import { formatMoney } from "@/format";
import { text } from "@/text";

import type { LiveBatch } from "./stream";

/** What arrived since it was last told, in one sentence: how many entries, and the balance after the newest of them. */
export class Announcement {
  private count = 0;
  private balance: { readonly seq: number; readonly amount: Money } | null = null;

  add(batch: LiveBatch): void {
    this.count += batch.transactions.length;
    // The stream sums balances up: the one that came last may be older than the entries beside it.
    for (const entry of batch.transactions) this.reach(entry.seq, entry.balance_after);
    if (batch.balance !== null) this.reach(batch.balance.seq, batch.balance.balance);
  }

  /** The sentence, once; null where nothing arrived. */
  take(): string | null {
    if (this.count === 0) return null;
    const parts = [text.dashboard.recent.newCharges(this.count)];
    if (this.balance !== null) parts.push(text.dashboard.recent.balanceNow(formatMoney(this.balance.amount)));
    this.count = 0;
    return parts.join(", ");
  }

  private reach(seq: number, amount: Money): void {
    if (this.balance === null || seq >= this.balance.seq) this.balance = { seq, amount };
  }
}
