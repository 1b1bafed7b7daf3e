import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount } from "./support/account";
import { launch, visit } from "./support/browser";
import { env } from "./support/env";
import { read, send } from "./support/http";
import { dollars, micro } from "./support/money";
import { shown } from "./support/read";
import { mayFrame, Site } from "./support/site";

let browser: Browser;
let site: Site;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  site = await Site.start();
  account = await TestAccount.open({ credit: "80.00" });
  await account.report([{ work: MODIFY }]);
});
afterAll(async () => {
  site.stop();
  await browser.close();
});

async function tokenFor(ttlS = 600): Promise<string> {
  const answer = await send("POST", `${env.queryUrl}/v1/portal-tokens`, account.key, { ttl_s: ttlS });
  return (answer.body as { token: string }).token;
}

/** The site's own script gives its frame an address. */
async function show(page: Page, path: string): Promise<void> {
  const address = new URL(path, env.webUrl).href;
  await page.evaluate((src) => {
    const frame = document.querySelector("iframe");
    if (frame !== null) frame.src = src;
  }, address);
}

const balanceOf = (token: string): string => `/embed/balance?account=${account.id}#token=${token}`;
/** Where the browser leaves a frame whose page it does not show. */
const REFUSED = "chrome-error://chromewebdata/";
const framed = (page: Page): string | undefined => page.frames()[1]?.url();

const refusals = (complaints: string[]): number => complaints.filter((told) => told.includes("frame-ancestors")).length;

// Over a stack that runs already the setting is whatever it is.
describe.runIf(mayFrame)("A customer's own site", () => {
  it("shows a widget in a frame where its origin is named, and gives it a new token there", async () => {
    const { page, context, complaints } = await visit(browser);
    await page.goto(site.allowed);
    await show(page, balanceOf(await tokenFor(15)));
    const frame = page.frameLocator("iframe");
    const { balance } = await read<{ balance: { amount: string } }>(`/v1/accounts/${account.id}/balance`);
    await expect.poll(() => shown(frame.locator(".embed-amount"))).toBe(dollars(micro(balance.amount)));
    // when the token ends, then the figures are gone, and a new one in the frame's address brings them back,
    await frame.getByText("This link has expired").waitFor({ timeout: 45_000 });
    const loaded = page.frames()[1];
    await loaded?.evaluate(() => document.documentElement.setAttribute("data-loaded", "once"));
    await show(page, balanceOf(await tokenFor()));
    await frame.locator(".embed-amount").waitFor();
    // in the page that is there.
    expect(await frame.locator("html").getAttribute("data-loaded")).toBe("once");
    expect(framed(page)).not.toContain("token");
    expect(complaints).toEqual([]);
    await context.close();
  }, 120_000);

  it("is refused by the browser where it is not", async () => {
    const { page, context, complaints } = await visit(browser);
    await page.goto(site.other);
    await show(page, balanceOf(await tokenFor()));
    await expect.poll(() => framed(page)).toBe(REFUSED);
    expect(await page.frameLocator("iframe").locator(".embed-amount").count()).toBe(0);
    await expect.poll(() => refusals(complaints)).toBeGreaterThan(0);
    await context.close();
  });

  it("is refused every page that is no widget, wherever it is", async () => {
    const { page, context, complaints } = await visit(browser);
    await page.goto(site.allowed);
    for (const path of ["/", "/sign-in", "/pricing"]) {
      const before = refusals(complaints);
      await show(page, path);
      // The browser says so before it puts its own page in place.
      await expect.poll(() => refusals(complaints), { message: path }).toBeGreaterThan(before);
      await expect.poll(() => framed(page), { message: path }).toBe(REFUSED);
    }
    await context.close();
  });
});
