// A picture of each page in both themes, at the desk and on a phone, from a stack with history and a running fleet:
//   make up DETACH=1, then: npm run screenshots [-- dashboard event]
// They go to e2e/screenshots/, which git ignores; the README's two are copies.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { DESK, launch, PHONE, signIn, visit } from "./support/browser";
import { env } from "./support/env";
import { read } from "./support/http";

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
  ["repricing-new", "/repricings/new"],
];

let browser: Browser;
let event = "";
let version = "";
beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  browser = await launch();
  // An event of some size: a page with something on it.
  const { data } = await read<{ data: { event_id: string; count: number }[] }>(
    `/v1/accounts/${account}/events?limit=50`,
  );
  version = String((await read<{ version: number }>("/v1/price-books/current")).version);
  event = [...data].sort((a, b) => b.count - a.count)[0]?.event_id ?? "";
});
afterAll(() => browser.close());

const VIEWS = [
  ["light", DESK, ""],
  ["dark", DESK, ""],
  ["light", PHONE, "-phone"],
  ["dark", PHONE, "-phone"],
] as const;

it.each(VIEWS)("%s %o", async (theme, size, suffix) => {
  for (const [signedIn, pages] of [
    [key, PAGES],
    [env.adminKey, ADMIN_PAGES],
  ] as const) {
    const asked = pages.filter(([name]) => wanted.length === 0 || wanted.includes(name));
    if (asked.length === 0) continue;
    const { page, context } = await visit(browser, { theme, size, touch: size === PHONE });
    await signIn(page, signedIn);
    for (const [name, path] of asked) {
      await page.goto(path.replace(":event", event).replace(":version", version));
      await page.locator("h1").first().waitFor();
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
