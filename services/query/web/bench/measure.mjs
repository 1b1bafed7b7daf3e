// Measures the built dashboard in Chromium over a running stack, for `make bench ARGS="--only web"`, which starts the stack,
// opens the account and writes the figures down. Prints one line of JSON: every figure with its runs.
//
//   TOLLBOOTH_QUERY_URL, TOLLBOOTH_INGEST_URL, TOLLBOOTH_ADMIN_KEY, TOLLBOOTH_ACCOUNT_ID, TOLLBOOTH_ACCOUNT_KEY,
//   TOLLBOOTH_CHROMIUM: where it is; measure.mjs [RUNS]
import { chromium } from "playwright-core";

import { gallery } from "./gallery.mjs";
import { liveRows } from "./live.mjs";
import { until } from "./until.mjs";

const runs = Number(process.argv[2] ?? "3");
const need = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};
const stack = {
  queryUrl: need("TOLLBOOTH_QUERY_URL"),
  ingestUrl: need("TOLLBOOTH_INGEST_URL"),
  adminKey: need("TOLLBOOTH_ADMIN_KEY"),
  accountId: need("TOLLBOOTH_ACCOUNT_ID"),
  accountKey: need("TOLLBOOTH_ACCOUNT_KEY"),
};
/** Pages of an account, with the words that show that they are drawn. */
const ROUTES = ["/events", `/events/${need("TOLLBOOTH_EVENT_ID")}/analytics`, "/activity", "/pricing", "/billing", "/settings"];

const browser = await chromium.launch({
  executablePath: need("TOLLBOOTH_CHROMIUM"),
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
});

/** A browser that was never here, signed in: the sign-in itself goes past its cache. */
async function visitor() {
  const context = await browser.newContext({ baseURL: stack.queryUrl, viewport: { width: 1280, height: 900 }, locale: "en-US" });
  const answer = await context.request.post("/v1/session", { data: { key: stack.accountKey } });
  if (!answer.ok()) throw new Error(`no session: ${String(answer.status())} ${await answer.text()}`);
  return { context, page: await context.newPage() };
}

/** Counts what comes over the wire, heads included, in bytes. The stream, which never ends, is left out. */
async function counted(page) {
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  let bytes = 0;
  client.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  return { taken: () => bytes };
}

const isDrawn = async (page) => {
  await page.locator("h1").first().waitFor();
  const isBusy = () => page.locator("[aria-busy='true']").count();
  await until("the page's parts", async () => (await isBusy()) === 0);
  await page.evaluate(() => document.fonts.ready);
};

/** First load of the dashboard: everything that it took, and when its largest part was there. */
async function firstLoad() {
  const { context, page } = await visitor();
  const wire = await counted(page);
  await page.goto("/");
  await isDrawn(page);
  const lcp = await page.evaluate(
    () =>
      new Promise((done) => {
        new PerformanceObserver((list) => done(list.getEntries().at(-1)?.startTime ?? 0)).observe({
          type: "largest-contentful-paint",
          buffered: true,
        });
      }),
  );
  const firstBytes = wire.taken();
  await context.close();
  return { firstBytes, lcp };
}

/** What a route takes beyond the dashboard, by a browser that has that one: the largest of all. */
async function routeBytes() {
  let largest = 0;
  for (const route of ROUTES) {
    const { context, page } = await visitor();
    await page.goto("/");
    await isDrawn(page);
    const wire = await counted(page);
    await page.goto(route);
    await isDrawn(page);
    largest = Math.max(largest, wire.taken());
    await context.close();
  }
  return largest;
}

const kb = (bytes) => bytes / 1_000;
const loads = [];
for (let run = 0; run < runs; run += 1) loads.push(await firstLoad());
const figures = {
  web_first_load: loads.map(({ firstBytes }) => kb(firstBytes)),
  web_lcp: loads.map(({ lcp }) => lcp),
  web_route: [kb(await routeBytes())],
  ...(await liveRows(visitor, stack, runs)),
  web_draw_year: await gallery(browser, runs),
};
await browser.close();
console.log(JSON.stringify(figures));
