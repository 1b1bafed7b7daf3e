import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ALL_WORK, TestAccount, VIDEO } from "./support/account";
import { launch, NARROW, open } from "./support/browser";
import { dollars, micro } from "./support/money";
import { moving } from "./support/motion";
import { panel, plain } from "./support/read";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open();
  await account.event("evt_gala", { name: "Gala Night", budget: { amount: "20.00", on_exceeded: "warn" } });
  await account.report(ALL_WORK.map((work) => ({ work })));
});
afterAll(() => browser.close());

/** Pages on which something moves for everybody else. */
const PAGES = ["/", "/events", "/events/evt_gala/analytics", "/activity", "/billing", "/settings", "/pricing"];

const TRANSACTIONS = /\/transactions\?/;

/** What stands on the pages after each other, and over them. */
async function findings(page: Page): Promise<string[]> {
  const found: string[] = [];
  const look = async (where: string): Promise<void> => {
    found.push(...(await moving(page)).map((what) => `${where}: ${what}`));
  };
  for (const path of PAGES) {
    await page.goto(path);
    await page.locator("h1").first().waitFor();
    await expect.poll(() => page.locator("[aria-busy='true']").count()).toBe(0);
    await look(path);
  }
  // A list that is still waited for.
  await page.route(TRANSACTIONS, () => undefined);
  await page.goto("/activity");
  const skeleton = page.locator(".skeleton-late").first();
  await expect.poll(() => skeleton.evaluate((element) => getComputedStyle(element).opacity)).toBe("1");
  await look("skeleton");
  await page.unroute(TRANSACTIONS);
  // A row that has just come, what slides in, and what turns.
  await page.goto("/");
  const recent = panel(page, "Recent Activity").locator("tr[data-seq]");
  const newest = await recent.first().getAttribute("data-seq");
  await account.report([{ work: VIDEO }]);
  await expect.poll(() => recent.first().getAttribute("data-seq")).not.toBe(newest);
  await look("new row");
  await recent.first().click();
  await page.getByRole("dialog").getByText("Operation").first().waitFor();
  await look("drawer");
  await page.keyboard.press("Escape");
  await page.route("**/v1/accounts/*/purchases", () => undefined);
  await page.getByLabel("Amount *").fill("60");
  await page.getByRole("button", { name: "Buy credits" }).click();
  await look("dialog");
  await page.getByRole("dialog").getByRole("button", { name: /^Buy \$/ }).click();
  await page.getByText("Processing the payment").waitFor();
  await look("spinner");
  return found;
}

describe("For somebody who wants less motion", () => {
  it("nothing moves on any page, in a list that loads, in a row that comes, in a drawer or a dialog", async () => {
    const { page, context, complaints } = await open(browser, account.key);
    expect(await findings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  }, 120_000);

  it("nor the menu of a phone", async () => {
    const { page, context } = await open(browser, account.key, "/", { size: NARROW, touch: true });
    await page.getByRole("button", { name: "Open menu" }).tap();
    await page.getByRole("link", { name: "Billing" }).first().waitFor();
    expect(await moving(page)).toEqual([]);
    await context.close();
  });

  it("balance and figures jump from what they were to what they are", async () => {
    const spender = await TestAccount.open();
    const { page, context } = await open(browser, spender.key);
    await expect.poll(async () => plain(await page.getByTestId("balance-amount").textContent())).toBe("$100.00");
    // given somebody who writes down every text that they ever have
    await page.evaluate(() => {
      const seen = { balance: new Set<string>(), used: new Set<string>() };
      const note = (): void => {
        seen.balance.add(document.querySelector("[data-testid='balance-amount']")?.textContent ?? "");
        seen.used.add(document.querySelector("[data-testid='figure-used']")?.textContent ?? "");
      };
      note();
      new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
      Object.assign(window, { seen });
    });
    // when work is charged, again and again
    const balance = page.getByTestId("balance-amount");
    for (let round = 1; round <= 3; round += 1) {
      await spender.report([{ work: VIDEO }]);
      await expect.poll(async () => plain(await balance.textContent())).toBe(dollars(100_000_000n - BigInt(round) * 1_200_000n));
    }
    const used = page.getByTestId("figure-used");
    await expect.poll(async () => plain(await used.textContent())).toBe("$3.60");
    // then each of them was one of the ledger's
    const seen = await page.evaluate(() => {
      const { balance, used } = (window as unknown as { seen: Record<string, Set<string>> }).seen;
      return { balance: [...(balance ?? [])], used: [...(used ?? [])] };
    });
    const balances = (await spender.entries()).map((entry) => dollars(micro(entry.balance_after.amount)));
    expect(balances).toEqual(expect.arrayContaining(seen.balance.map(plain)));
    expect(seen.balance).toHaveLength(4);
    expect(["", "$0.00", "$1.20", "$2.40", "$3.60"]).toEqual(expect.arrayContaining(seen.used.map(plain)));
    await context.close();
  });
});

describe("For everybody else", () => {
  it("some of it moves, so that the tests above look where there is something to see", async () => {
    const { page, context } = await open(browser, account.key, "/", { motion: true });
    const found = (await findings(page)).join("\n");
    for (const what of [
      /^\/: .*live-dot/m,
      /^skeleton: .*skeleton-late/m,
      /^new row: td .*1\.6 s/m,
      /^drawer: .*dialog-drawer/m,
      /^dialog: button/m,
      /^spinner: .*spinner/m,
    ]) {
      expect(found).toMatch(what);
    }
    await context.close();
  }, 120_000);
});
