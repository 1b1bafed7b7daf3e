// A picture of each page in both themes, at the desk, on a phone, a tablet and a wide screen, from a stack with history and a running fleet:
//   make up DETACH=1, then: npm run screenshots [-- dashboard event]
// They go to e2e/screenshots/, which git ignores. `npm run screenshots -- readme` makes the README's two, in docs/images/.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { DESK, launch, NARROW, signIn, TABLET, visit, WIDE } from "./support/browser";
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
  ["nothing-found", "/activity?q=nobody+wrote+this"],
  ["not-found", "/nowhere"],
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

/** Before anybody signs in. */
const PUBLIC_PAGES: readonly (readonly [string, string])[] = [
  ["sign-in", "/sign-in"],
  ["pricing-public", "/pricing"],
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
  event = largestOf(data)[0]?.event_id ?? "";
});
afterAll(() => browser.close());

interface Party {
  readonly event_id: string;
  readonly name: string | null;
  readonly count: number;
  readonly time_zone: string;
  readonly first_activity_at: string | null;
  readonly last_activity_at: string | null;
}

const NAMES = ["Lakeside Gala", "Nguyen & Ortiz Wedding", "Design Week Party", "Senior Ball", "Kowalski 60th", "Brand Launch"];

/** The largest events of the fleet's history; those that it runs now have names and dates, and have only begun. */
function largestOf(parties: readonly Party[]): Party[] {
  const isPast = ({ name: given }: Party): boolean => given === null || NAMES.includes(given);
  return parties.filter(isPast).sort((a, b) => b.count - a.count).slice(0, NAMES.length);
}

/** Gives the largest events names and dates, as their operators would have; the history's have ids alone. */
async function name(parties: readonly Party[]): Promise<void> {
  const largest = largestOf(parties);
  // The list has what was named last on top: the newest of them.
  const oldestFirst = largest.sort((a, b) => Date.parse(a.first_activity_at ?? "") - Date.parse(b.first_activity_at ?? ""));
  for (const [index, { event_id, time_zone, first_activity_at: first, last_activity_at: last }] of oldestFirst.entries()) {
    if (first === null || last === null) continue;
    const body = {
      name: NAMES[index],
      starts_at: first,
      ends_at: new Date(Date.parse(last) + 900_000).toISOString(),
      time_zone,
      budget: { amount: "60.00", on_exceeded: "warn" },
    };
    await command("PUT", `/v1/accounts/${account}/events/${event_id}`, body, crypto.randomUUID());
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
  ["light", TABLET, "-tablet"],
  ["dark", TABLET, "-tablet"],
  ["light", WIDE, "-wide"],
  ["dark", WIDE, "-wide"],
] as const;

const filled = (path: string): string =>
  path
    .replace(":event", event)
    .replace(":version", version)
    .replace(":repricing", repricing)
    .replace(":account", account);

/** The window is made as high as the page: a picture of a whole page otherwise is one without touch. */
const heightOf = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollHeight);

/** The live stream never ends, so that the network is never idle: what is waited for is the end of all skeletons. */
async function drawn(page: Page): Promise<void> {
  await expect.poll(() => page.locator("[aria-busy='true']").count()).toBe(0);
  await page.evaluate(async () => {
    await document.fonts.ready;
  });
}

it.each(VIEWS)("%s %o", async (theme, size, suffix) => {
  for (const [signedIn, pages] of [
    [key, PAGES],
    [env.adminKey, ADMIN_PAGES],
    [null, PUBLIC_PAGES],
    [null, WIDGETS],
  ] as const) {
    const asked = pages.filter(([name]) => wanted.length === 0 || wanted.includes(name));
    if (asked.length === 0) continue;
    const { page, context } = await visit(browser, { theme, size, touch: size.width < DESK.width });
    if (signedIn !== null) await signIn(page, signedIn);
    for (const [name, path] of asked) {
      const widget = pages === WIDGETS;
      await page.goto(filled(path) + (widget ? `#token=${token}` : ""));
      await page.locator(widget ? "main" : "h1, main h2").first().waitFor();
      await drawn(page);
      // A list that draws only what is on the screen has nothing below it to show.
      const height = name === "activity" ? size.height : await heightOf(page);
      await page.setViewportSize({ width: size.width, height: Math.max(size.height, height) });
      await page.screenshot({ path: join(folder, `${name}-${theme}${suffix}.png`) });
      await page.setViewportSize(size);
      if (name === "activity") {
        await page.locator("[data-seq]").nth(4).click();
        await page.getByRole("dialog").getByText("Operation").first().waitFor();
        await page.screenshot({ path: join(folder, `detail-${theme}${suffix}.png`) });
      }
    }
    await context.close();
  }
}, 300_000);

/** While booths report, the parts of a page learn of it one after the other: a picture is of a moment when all have. */
function agrees(page: Page): Promise<boolean> {
  return page.evaluate(() => {
    const said = (part: string): string | undefined =>
      /[\d,]+(?= activit)/.exec(document.querySelector(part)?.textContent ?? "")?.[0];
    return said(".figures") === said(".timeline-total");
  });
}

/** What the README shows: as much as fits a window, next to each other. */
const README = [
  ["dashboard", "light", "/?period=year"],
  ["event-dark", "dark", "/events/:event/analytics"],
] as const;

it.runIf(wanted.includes("readme")).each(README)(
  "%s for the README",
  async (name, theme, path) => {
    const { page, context } = await visit(browser, { theme, size: { width: 1280, height: 930 } });
    await signIn(page, key);
    await page.goto(filled(path));
    await page.locator("h1").first().waitFor();
    await drawn(page);
    await expect.poll(() => agrees(page)).toBe(true);
    await page.screenshot({ path: join(import.meta.dirname, "../../../../docs/images", `${name}.png`) });
    await context.close();
  },
  60_000,
);
