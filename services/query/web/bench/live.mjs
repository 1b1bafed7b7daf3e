import { setTimeout as pause } from "node:timers/promises";

import { until } from "./until.mjs";

const RATE = 200;
const BATCH = 20;
const SECONDS = 15;
/** Until the page has what was sent last. */
const CAUGHT_UP_MS = 10_000;

/** Longest task of a page while rows arrive, in ms, with the rate that was sent; the page has to have them all at the end. */
export async function liveRows(visitor, stack, runs) {
  const longest = [];
  const rates = [];
  for (let run = 0; run < runs; run += 1) {
    const { context, page } = await visitor();
    await page.goto("/");
    await page.locator("tr[data-seq]").first().waitFor();
    await page.evaluate(() => {
      globalThis.longTasks = [];
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) globalThis.longTasks.push(duration);
      }).observe({ type: "longtask" });
    });
    rates.push(await send(stack, run));
    const { seq } = await newest(stack);
    const top = page.locator("tr[data-seq]").first();
    await until("the newest row on the page", async () => Number(await top.getAttribute("data-seq")) >= seq, CAUGHT_UP_MS);
    // Nothing was longer than the 50 ms from which on a browser tells.
    longest.push(Math.max(0, ...(await page.evaluate(() => globalThis.longTasks))));
    await context.close();
  }
  return { web_live_task: longest, web_live_rate: rates };
}

/** Sends at a schedule that waits for no answer, and returns what was held of it. */
async function send(stack, run) {
  const begun = performance.now();
  const answers = [];
  const batches = (RATE * SECONDS) / BATCH;
  for (let number = 0; number < batches; number += 1) {
    const due = begun + (number * BATCH * 1_000) / RATE;
    await pause(Math.max(0, due - performance.now()));
    answers.push(post(stack, run, number));
  }
  await Promise.all(answers);
  return (batches * BATCH * 1_000) / (performance.now() - begun);
}

async function post({ ingestUrl, adminKey, accountId }, run, number) {
  const event = (index) => {
    const operation = `op_web_${String(run)}_${String(number)}_${String(index)}_${String(process.pid)}`;
    return {
      specversion: "1.0",
      id: operation,
      source: "/booths/bth_web",
      type: "tollbooth.usage.v1",
      subject: accountId,
      time: new Date().toISOString(),
      data: {
        operation_id: operation,
        event_id: `evt_web_${String(index % 3)}`,
        booth_id: `bth_web_${String(index % 4)}`,
        service: "ai_modify",
        engine: index % 2 === 0 ? "nano_banana_2" : "grok_imagine",
        unit: "image",
        quantity: "1",
        status: index % 10 === 0 ? "failed" : "success",
        ...(index % 10 === 0 ? { error_code: "provider_timeout" } : {}),
      },
    };
  };
  const response = await fetch(`${ingestUrl}/v1/events`, {
    method: "POST",
    headers: { Authorization: `Bearer ${adminKey}`, "Content-Type": "application/cloudevents-batch+json" },
    body: JSON.stringify(Array.from({ length: BATCH }, (_, index) => event(index))),
  });
  const answer = await response.text();
  if (response.status !== 202) throw new Error(`not accepted: ${String(response.status)} ${answer}`);
}

/** The account's newest entry, once the meter is at rest with it. */
async function newest({ queryUrl, accountKey, accountId }) {
  const end = Date.now() + CAUGHT_UP_MS;
  let last = -1;
  for (;;) {
    const response = await fetch(`${queryUrl}/v1/accounts/${accountId}/balance`, { headers: { Authorization: `Bearer ${accountKey}` } });
    const balance = await response.json();
    if (balance.seq === last) return balance;
    if (Date.now() > end) throw new Error("the ledger does not come to rest");
    last = balance.seq;
    await pause(500);
  }
}
