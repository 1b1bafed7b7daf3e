import { describe, expect, it } from "vitest";

import type { StreamBalance, Transaction } from "@/api/types";

import { Announcement } from "./announcement";
import { emptyBatch } from "./stream";

const usd = (amount: string) => ({ amount, currency: "USD" });
const entry = (seq: number, after: string): Transaction => ({ seq, balance_after: usd(after) }) as Transaction;
const balance = (seq: number, amount: string): StreamBalance => ({ seq, balance: usd(amount) }) as StreamBalance;

describe("what a screen reader is told", () => {
  it("is nothing where nothing arrived, and each thing once", () => {
    const announcement = new Announcement();
    announcement.add({ ...emptyBatch(), balance: balance(4, "10") });
    expect(announcement.take()).toBeNull();
    announcement.add({ ...emptyBatch(), transactions: [entry(5, "9.5")] });
    expect(announcement.take()).toBe("1 new entry, balance $9.50");
    expect(announcement.take()).toBeNull();
  });

  it("is the balance after the newest entry, where the stream's own comes a batch later", () => {
    const announcement = new Announcement();
    announcement.add({ ...emptyBatch(), balance: balance(5, "9.5"), transactions: [entry(5, "9.5"), entry(6, "8")] });
    expect(announcement.take()).toBe("2 new entries, balance $8.00");
    announcement.add({ ...emptyBatch(), balance: balance(6, "8"), transactions: [entry(8, "6"), entry(7, "7")] });
    expect(announcement.take()).toBe("2 new entries, balance $6.00");
  });

  it("is the balance of the stream, where that is newer than the entries", () => {
    const announcement = new Announcement();
    announcement.add({ ...emptyBatch(), balance: balance(9, "1"), transactions: [entry(8, "2")] });
    expect(announcement.take()).toBe("1 new entry, balance $1.00");
  });
});
