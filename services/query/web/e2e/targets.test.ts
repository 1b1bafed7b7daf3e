import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ALL_WORK, TestAccount } from "./support/account";
import { DESK, launch, NARROW, open } from "./support/browser";
import { env } from "./support/env";
import { panel } from "./support/read";
import { smallTargets } from "./support/targets";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open({ credit: "400.00" });
  await account.event("evt_gala", { name: "Gala", budget: { amount: "20.00", on_exceeded: "warn" } });
  await account.report(ALL_WORK.map((work) => ({ work })));
});
afterAll(() => browser.close());

const PAGES = [
  ["/", "Recent Activity"],
  ["/?period=dates&from=2026-01-03&to=2026-03-09", "Recent Activity"],
  ["/events", "Gala"],
  ["/events/evt_gala/analytics", "Event Activities"],
  ["/activity?status=success&q=gala", "Kling"],
  ["/pricing", "Full Plan Breakdown"],
  ["/billing", "Purchase history"],
  ["/settings", "API keys"],
  ["/nowhere", "Page not found"],
] as const;

const ADMIN_PAGES = [
  ["/fleet", "Top spenders"],
  ["/price-books", "All price books"],
  ["/price-books/1", "Simulate"],
  ["/repricings", "All re-pricings"],
  ["/repricings/new", "What to re-price"],
] as const;

async function look(page: Page, pages: readonly (readonly [string, string])[], least: number): Promise<string[]> {
  const findings: string[] = [];
  for (const [path, words] of pages) {
    await page.goto(path);
    await page.getByText(words).first().waitFor({ state: "attached" });
    await expect.poll(() => page.locator("[aria-busy='true']").count(), { message: path }).toBe(0);
    findings.push(...(await smallTargets(page, least)).map((finding) => `${path}: ${finding}`));
  }
  return findings;
}

describe.each([
  ["with a mouse", DESK, false, 24],
  ["with a finger", NARROW, true, 44],
] as const)("What is pressed %s", (_name, size, touch, least) => {
  it(`is at least ${String(least)} px high on every page`, async () => {
    const { page, context } = await open(browser, account.key, "/", { size, touch });
    expect(await look(page, PAGES, least)).toEqual([]);
    await context.close();
  });

  it(`is at least ${String(least)} px high in a row's detail, in the menu and in a dialog`, async () => {
    const { page, context } = await open(browser, account.key, "/", { size, touch });
    const dialog = page.getByRole("dialog");
    await panel(page, "Recent Activity").locator("tr[data-seq]").first().click();
    await dialog.getByText("Operation").first().waitFor();
    expect(await smallTargets(page, least)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByLabel("Amount *").fill("60");
    await page.getByRole("button", { name: "Buy credits" }).click();
    await dialog.getByRole("button", { name: /^Buy \$/ }).waitFor();
    expect(await smallTargets(page, least)).toEqual([]);
    await page.keyboard.press("Escape");
    if (touch) await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    expect(await smallTargets(page, least)).toEqual([]);
    await context.close();
  });

  it(`is at least ${String(least)} px high for an administrator`, async () => {
    const { page, context } = await open(browser, env.adminKey, "/", { size, touch });
    expect(await look(page, ADMIN_PAGES, least)).toEqual([]);
    await context.close();
  });
});
