import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { keys } from "@/api/keys";
import { balanceQuery } from "@/api/queries/account";
import type { Balance, StreamBalance, Transaction } from "@/api/types";

import { applyBatch, type RecentRows } from "./apply";
import { mergeRows } from "./merge";
import { Refresher } from "./refresher";
import { Ring } from "./ring";
import { LiveStream, emptyBatch, type LiveBatch } from "./stream";

const row = (seq: number, eventId: string | null = null): Transaction =>
  ({ seq, entry_id: `ent_acc_luna_${String(seq)}`, event_id: eventId }) as Transaction;
const rows = (...seqs: number[]): Transaction[] => seqs.map((seq) => row(seq));
const seqs = (list: readonly Transaction[] | undefined): number[] => (list ?? []).map((item) => item.seq);

describe("mergeRows", () => {
  it("puts every row once, newest first", () => {
    expect(seqs(mergeRows(rows(5, 3, 2), rows(6, 7, 5), 10))).toEqual([7, 6, 5, 3, 2]);
    expect(seqs(mergeRows(rows(5), rows(6, 6), 10))).toEqual([6, 5]);
  });

  it("changes nothing where nothing is new, so that nothing renders", () => {
    const list = rows(5, 4);
    expect(mergeRows(list, rows(5, 4), 10)).toBe(list);
  });

  it("keeps the newest within the limit", () => {
    expect(seqs(mergeRows(rows(2, 1), rows(4, 3), 3))).toEqual([4, 3, 2]);
  });
});

describe("what the stream does to the caches", () => {
  const id = "acc_luna";
  let client: QueryClient;
  let ring: Ring;
  const batch = (part: Partial<LiveBatch>): void => applyBatch(client, id, ring, { ...emptyBatch(), ...part });
  const recent = (eventId: string | null = null) => client.getQueryData<RecentRows>(keys.recent(id, eventId))?.rows;

  beforeEach(() => {
    client = new QueryClient();
    ring = new Ring();
    client.setQueryData<RecentRows>(keys.recent(id, null), { rows: rows(10, 9), hasMore: true });
    client.setQueryData<RecentRows>(keys.recent(id, "evt_gala"), { rows: [], hasMore: false });
  });
  afterEach(() => client.clear());

  it("adds rows to the lists they belong to, once", () => {
    batch({ transactions: [row(11, "evt_gala"), row(12)] });
    batch({ transactions: [row(11, "evt_gala"), row(12)] });
    expect(seqs(recent())).toEqual([12, 11, 10, 9]);
    expect(seqs(recent("evt_gala"))).toEqual([11]);
  });

  it("reads lists again that end below where the stream begins", () => {
    batch({ ready: { account_id: id, seq: 15 } });
    expect(client.getQueryState(keys.recent(id, null))?.isInvalidated).toBe(true);
    expect(ring.floorSeq).toBe(15);
  });

  it("leaves lists alone that reach it", () => {
    batch({ ready: { account_id: id, seq: 10 } });
    expect(client.getQueryState(keys.recent(id, null))?.isInvalidated).toBe(false);
  });

  it("never puts an older balance over a newer one", () => {
    const balance = (seq: number, amount: string) =>
      ({ seq, balance: { amount, currency: "USD" } }) as StreamBalance;
    client.setQueryData(keys.balance(id), balance(20, "5.00"));
    batch({ balance: balance(19, "9.00") });
    expect(client.getQueryData(keys.balance(id))).toMatchObject({ seq: 20, balance: { amount: "5.00" } });
    batch({ balance: balance(21, "4.80") });
    expect(client.getQueryData(keys.balance(id))).toMatchObject({ seq: 21, balance: { amount: "4.80" } });
  });

  it("never leaves parts of one entry beside the balance of another", () => {
    const usd = (amount: string) => ({ amount, currency: "USD" });
    const parts = [{ kind: "purchased", amount: usd("5.00"), expires_at: null, seq: null }];
    client.setQueryData(keys.balance(id), { seq: 20, balance: usd("5.00"), parts });
    batch({ balance: { seq: 20, balance: usd("5.00") } as StreamBalance });
    expect(client.getQueryData(keys.balance(id))).toMatchObject({ seq: 20, parts });
    batch({ balance: { seq: 21, balance: usd("4.80") } as StreamBalance });
    expect(client.getQueryData(keys.balance(id))).toMatchObject({ seq: 21, parts: null });
  });

  it("keeps the newer balance when an older answer comes late", async () => {
    const options = balanceQuery(id);
    client.setQueryData(options.queryKey, { seq: 21 } as Balance);
    await client.fetchQuery({ ...options, queryFn: () => Promise.resolve({ seq: 20 } as Balance), staleTime: 0 });
    expect(client.getQueryData(options.queryKey)?.seq).toBe(21);
  });

  it("reads everything of the account again, and of no other, after a jump", () => {
    client.setQueryData(keys.facts("acc_other"), {});
    ring.push(rows(11));
    batch({ resync: { seq: 40, reason: "gap" } });
    expect(client.getQueryState(keys.recent(id, null))?.isInvalidated).toBe(true);
    expect(client.getQueryState(keys.facts("acc_other"))?.isInvalidated).toBe(false);
    expect(ring.matching(null)).toEqual([]);
    expect(ring.floorSeq).toBe(40);
  });

  it("keeps rows for a list whose answer is older than they are", () => {
    batch({ transactions: rows(11, 12) });
    const answer = rows(10, 9);
    expect(seqs(mergeRows(answer, ring.matching(null), 200))).toEqual([12, 11, 10, 9]);
  });
});

describe("what is read again after a batch", () => {
  const id = "acc_luna";
  const PARTS = ["purchases", "recharge", "alerts", "summary", "transactions"];
  let client: QueryClient;
  let refresher: Refresher;
  const read = (): string[] =>
    PARTS.filter((part) => client.getQueryState([...keys.account(id), part])?.isInvalidated === true);
  const follow = (part: Partial<LiveBatch>): string[] => {
    for (const name of PARTS) client.setQueryData([...keys.account(id), name], {});
    refresher.follow({ ...emptyBatch(), ...part });
    vi.advanceTimersByTime(4_000);
    return read();
  };
  const typed = (type: string): Partial<LiveBatch> => ({ transactions: [{ ...row(11), type } as Transaction] });

  beforeEach(() => {
    vi.useFakeTimers();
    client = new QueryClient();
    refresher = new Refresher(client, id);
  });
  afterEach(() => {
    refresher.stop();
    client.clear();
    vi.useRealTimers();
  });

  it("is the list of purchases too after a recharge, and never a list that is being read", () => {
    expect(follow(typed("auto_recharge"))).toEqual(["purchases", "recharge", "alerts", "summary"]);
  });

  it("is no list of purchases after work", () => {
    expect(follow(typed("consume"))).toEqual(["recharge", "alerts", "summary"]);
  });

  it("is what an entry changes that no list has", () => {
    expect(follow({ balance: { seq: 12 } as StreamBalance })).toEqual(["recharge", "alerts"]);
    expect(follow({})).toEqual([]);
  });

  it("is a forecast that had too little to say, and no other", () => {
    const key = keys.forecast(id);
    for (const [reason, again] of [
      ["not_enough_data", true],
      ["beyond_horizon", false],
    ] as const) {
      client.setQueryData(key, { reason });
      follow({ balance: { seq: 12 } as StreamBalance });
      expect(client.getQueryState(key)?.isInvalidated, reason).toBe(again);
    }
  });

  it("is read once more when work has settled, whatever the answer was, and then no more", () => {
    const reads = vi.spyOn(client, "invalidateQueries");
    follow(typed("consume"));
    reads.mockClear();
    vi.advanceTimersByTime(6_000);
    const parts = reads.mock.calls.map(([filters]) => filters?.queryKey?.at(-1));
    expect(parts).toEqual(["summary", "usage", "events", "event", "booths"]);
    vi.advanceTimersByTime(60_000);
    expect(reads).toHaveBeenCalledTimes(5);
    // Of what no sum has there is nothing to wait for.
    reads.mockClear();
    follow({ balance: { seq: 13 } as StreamBalance });
    vi.advanceTimersByTime(60_000);
    expect(reads).toHaveBeenCalledTimes(3);
  });

  it("is read once for all that came within the pace", () => {
    const reads = vi.spyOn(client, "invalidateQueries");
    follow(typed("purchase"));
    reads.mockClear();
    for (let count = 0; count < 50; count += 1) refresher.follow({ ...emptyBatch(), ...typed("consume") });
    vi.advanceTimersByTime(3_000);
    expect(reads).toHaveBeenCalledTimes(8);
  });
});

class FakeSource {
  static all: FakeSource[] = [];
  readyState = 0;
  closed = false;
  private readonly listeners = new Map<string, (event: { data: string; lastEventId: string }) => void>();
  readonly url: string;

  constructor(url: string) {
    this.url = url;
    FakeSource.all.push(this);
  }

  addEventListener(name: string, listener: (event: { data: string; lastEventId: string }) => void): void {
    this.listeners.set(name, listener);
  }

  send(name: string, id: string, data: unknown): void {
    this.listeners.get(name)?.({ data: JSON.stringify(data), lastEventId: id });
  }

  fail(): void {
    this.listeners.get("error")?.({ data: "", lastEventId: "" });
  }

  close(): void {
    this.closed = true;
    this.readyState = 2;
  }
}

describe("the stream", () => {
  const batches: LiveBatch[] = [];
  const states: string[] = [];
  const open = (): LiveStream => {
    const stream = new LiveStream({
      accountId: "acc_luna",
      onBatch: (batch) => batches.push(batch),
      onState: (state) => states.push(state),
      makeSource: (url) => new FakeSource(url),
    });
    stream.open();
    return stream;
  };
  const source = (index: number): FakeSource => {
    const found = FakeSource.all[index];
    if (found === undefined) throw new Error(`no source ${String(index)}`);
    return found;
  };

  beforeEach(() => {
    vi.useFakeTimers();
    FakeSource.all = [];
    batches.length = 0;
    states.length = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("gathers what comes at once into one batch, in order", () => {
    open();
    for (let seq = 1; seq <= 200; seq += 1) source(0).send("transaction", `${String(seq)}.1`, row(seq));
    expect(batches).toEqual([]);
    vi.advanceTimersByTime(250);
    expect(batches).toHaveLength(1);
    expect(batches[0]?.transactions.map((item) => item.seq)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  it("opens again behind the last id when a connection is over", () => {
    open();
    expect(source(0).url).not.toContain("after=");
    source(0).send("transaction", "42.41", row(42));
    source(0).readyState = 2;
    source(0).fail();
    expect(states.at(-1)).toBe("paused");
    vi.advanceTimersByTime(2_000);
    expect(source(1).url).toContain("after=42.41");
  });

  it("opens again where nothing comes any more, and leaves a quiet stream alone that is alive", () => {
    open();
    source(0).send("ready", "42.41", { account_id: "acc_luna", seq: 42 });
    for (let comments = 0; comments < 10; comments += 1) {
      vi.advanceTimersByTime(15_000);
      source(0).send("alive", "", null);
    }
    expect([FakeSource.all.length, states.at(-1)]).toEqual([1, "open"]);

    // when the network is gone and nobody says so
    vi.advanceTimersByTime(30_000);
    expect([FakeSource.all.length, states.at(-1)]).toEqual([1, "open"]);
    vi.advanceTimersByTime(10_000);
    expect(source(0).closed).toBe(true);
    expect(source(1).url).toContain("after=42.41");
    expect(states.slice(-2)).toEqual(["paused", "connecting"]);
  });

  it("says since when the service cannot see what is new, and when it can again", () => {
    const told: [string, number | null][] = [];
    const stream = new LiveStream({
      accountId: "acc_luna",
      onBatch: () => undefined,
      onState: (state, at) => told.push([state, at]),
      makeSource: (url) => new FakeSource(url),
    });
    stream.open();
    source(0).send("ready", "42.41", { account_id: "acc_luna", seq: 42 });
    expect(told.at(-1)?.[0]).toBe("open");
    source(0).send("stale", "42.41", { since: "2026-11-27T20:00:00.000Z" });
    expect(told.at(-1)).toEqual(["stale", Date.parse("2026-11-27T20:00:00.000Z")]);
    // what still comes does not make it current
    source(0).send("balance", "42.41", { seq: 42 });
    expect(told.at(-1)?.[0]).toBe("stale");
    source(0).send("stale", "42.41", { since: null });
    expect(told.at(-1)?.[0]).toBe("open");
    stream.close();
  });

  it("tries nothing while the browser knows that there is no network, and at once when it is back", () => {
    const stream = open();
    source(0).send("ready", "42.41", { account_id: "acc_luna", seq: 42 });
    stream.lost();
    expect([source(0).closed, states.at(-1)]).toEqual([true, "paused"]);
    vi.advanceTimersByTime(300_000);
    expect(FakeSource.all).toHaveLength(1);
    stream.open();
    expect(source(1).url).toContain("after=42.41");
  });

  it("watches nothing once it is closed", () => {
    const stream = open();
    stream.close();
    vi.advanceTimersByTime(300_000);
    expect([FakeSource.all.length, states.at(-1)]).toEqual([1, "connecting"]);
  });

  it("takes nothing from a connection that was replaced", () => {
    const stream = open();
    stream.close();
    source(0).send("transaction", "43.1", row(43));
    vi.advanceTimersByTime(1_000);
    expect(batches).toEqual([]);
    expect(source(0).closed).toBe(true);
  });

  it("drops what was gathered before a jump", () => {
    open();
    source(0).send("transaction", "5.1", row(5));
    source(0).send("resync", "90.1", { seq: 90, reason: "gap" });
    source(0).send("transaction", "91.1", row(91));
    vi.advanceTimersByTime(250);
    expect(batches[0]?.resync?.seq).toBe(90);
    expect(seqs(batches[0]?.transactions)).toEqual([91]);
  });
});
