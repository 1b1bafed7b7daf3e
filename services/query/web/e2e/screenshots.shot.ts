// A picture of each page in both themes, at the desk, on a phone and on a wide screen, from a stack with history and a running fleet:
//   make up DETACH=1, then: npm run screenshots [-- dashboard event]
// They go to e2e/screenshots/, which git ignores; the README's two are copies.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { DESK, launch, NARROW, signIn, visit, WIDE } from "./support/browser";
import { env } from "./support/env";
import { command, read, send } from "./support/http";
import { previewed } from "./support/repricing";

const account = process.env.TOLLBOOTH_ACCOUNT_ID ?? "acc_demo_001";
const key = process.env.TOLLBOOTH_ACCOUNT_KEY ?? "";
const wanted = (process.env.TOLLBOOTH_SHOTS ?? "").split(" ").filter(Boolean);
const folder = join(import.meta.dirname, "screenshots");

const PAGES: readonly (readonly [string, string])[] = [
  ["dashboard", "/?period=year"],
  ["events", "/events"],
  ["event", "/events/:event/analytics"],
  ["activity", "/activity"],
  ["pricing", "/pricing"],
  ["billing", "/billing"],
  ["settings", "/settings"],
];

const ADMIN_PAGES: readonly (readonly [string, string])[] = [
  ["fleet", "/fleet"],
  ["price-books", "/price-books"],
  ["price-book", "/price-books/:version"],
  ["price-book-draft", "/price-books/:version/draft"],
  ["repricings", "/repricings"],
  ["repricing", "/repricings/:repricing"],
  ["repricing-new", "/repricings/new"],
];

/** Widgets as a customer's site shows them: in its own colours, in a frame of some width. */
const WIDGETS: readonly (readonly [string, string])[] = [
  ["embed-balance", "/embed/balance?account=:account"],
  ["embed-timeline", "/embed/timeline?account=:account"],
  ["embed-donut", "/embed/donut?account=:account"],
  ["embed-event", "/embed/donut?account=:account&event=:event"],
  ["embed-activity", "/embed/activity?account=:account"],
];

let browser: Browser;
let event = "";
let version = "";
let repricing = "";
let token = "";
beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  browser = await launch();
  // An event of some size: a page with something on it.
  const { data } = await read<{ data: Party[] }>(`/v1/accounts/${account}/events?limit=50`);
  await name(data);
  version = String((await read<{ version: number }>("/v1/price-books/current")).version);
  event = [...data].sort((a, b) => b.count - a.count)[0]?.event_id ?? "";
});
afterAll(() => browser.close());

interface Party {
  readonly event_id: string;
  readonly count: number;
  readonly time_zone: string;
  readonly first_activity_at: string | null;
  readonly last_activity_at: string | null;
}

const NAMES = ["Harbour Gala", "Nguyen & Ortiz Wedding", "Tech Summit, Day 2", "Spring Prom", "Kowalski 60th", "Brand Launch"];

/** Gives the largest events names and dates, as their operators would have; the fleet's have ids alone. */
async function name(parties: readonly Party[]): Promise<void> {
  const largest = [...parties].sort((a, b) => b.count - a.count).slice(0, NAMES.length);
  for (const [index, { event_id, time_zone, first_activity_at: first, last_activity_at: last }] of largest.entries()) {
    if (first === null || last === null) continue;
    const body = {
      name: NAMES[index],
      starts_at: first,
      ends_at: new Date(Date.parse(last) + 900_000).toISOString(),
      time_zone,
      budget: { amount: "60.00", on_exceeded: "warn" },
    };
    await command("PUT", `/v1/accounts/${account}/events/${event_id}`, body, `shown-${event_id}`);
  }
}

/** What is shown has to be there first: a preview of a re-pricing, a token for the widgets. */
beforeAll(async () => {
  repricing = await previewed({ id: account }, Number(version));
  const made = await send("POST", `${env.queryUrl}/v1/portal-tokens`, key, { ttl_s: 3_600 });
  token = (made.body as { token: string }).token;
});

const VIEWS = [
  ["light", DESK, ""],
  ["dark", DESK, ""],
  ["light", NARROW, "-phone"],
  ["dark", NARROW, "-phone"],
  ["light", WIDE, "-wide"],
  ["dark", WIDE, "-wide"],
] as const;

const filled = (path: string): string =>
  path
    .replace(":event", event)
    .replace(":version", version)
    .replace(":repricing", repricing)
    .replace(":account", account);

it.each(VIEWS)("%s %o", async (theme, size, suffix) => {
  for (const [signedIn, pages] of [
    [key, PAGES],
    [env.adminKey, ADMIN_PAGES],
    [null, WIDGETS],
  ] as const) {
    const asked = pages.filter(([name]) => wanted.length === 0 || wanted.includes(name));
    if (asked.length === 0) continue;
    const { page, context } = await visit(browser, { theme, size, touch: size === NARROW });
    if (signedIn !== null) await signIn(page, signedIn);
    for (const [name, path] of asked) {
      await page.goto(filled(path) + (signedIn === null ? `#token=${token}` : ""));
      await page.locator(signedIn === null ? "main" : "h1").first().waitFor();
      // The live stream never ends, so that the network is never idle: what is waited for is the end of all skeletons.
      await expect.poll(() => page.locator("[aria-busy='true']").count()).toBe(0);
      await page.evaluate(async () => {
        await document.fonts.ready;
      });
      await page.screenshot({ path: join(folder, `${name}-${theme}${suffix}.png`), fullPage: true });
    }
    await context.close();
  }
});
