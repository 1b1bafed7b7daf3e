import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount, VIDEO } from "./support/account";
import { launch, open } from "./support/browser";
import { dollars, sum } from "./support/money";
import { ledgerRows, panel, shown } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("Live updates", () => {
  it("bring rows and balance to two tabs without a reload, each row once", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    const second = await context.newPage();
    await second.goto("/");
    for (const tab of [page, second]) await tab.getByText("Recent Activity").waitFor();
    await account.report(Array.from({ length: 12 }, (_, index) => ({ work: index % 3 === 0 ? VIDEO : MODIFY })));
    const entries = await account.entries();
    const balance = dollars(sum(entries.map((entry) => entry.amount.amount)));
    for (const tab of [page, second]) {
      await expect.poll(() => shown(tab.getByTestId("balance-amount"))).toBe(balance);
      await expect.poll(async () => (await ledgerRows(panel(tab, "Recent Activity"))).length).toBe(13);
    }
    await context.close();
  });

  it("resume after the connection was lost, without gap and without double", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await expect.poll(async () => (await ledgerRows(panel(page, "Recent Activity"))).length).toBe(1);
    await context.setOffline(true);
    await account.report([{ work: MODIFY }, { work: VIDEO }, { work: MODIFY }]);
    await context.setOffline(false);
    const entries = (await account.entries()).filter((entry) => entry.type !== "open" && entry.type !== "opened");
    const seqs = async (): Promise<number[]> =>
      panel(page, "Recent Activity")
        .locator("tr[data-seq]")
        .evaluateAll((rows) => rows.map((row) => Number(row.getAttribute("data-seq"))));
    await expect
      .poll(seqs, { timeout: 20_000 })
      .toEqual(entries.filter((entry) => ["consume", "adjustment"].includes(entry.type)).map((entry) => entry.seq));
    await account.report([{ work: VIDEO }]);
    await expect.poll(async () => (await seqs()).length, { timeout: 20_000 }).toBe(5);
    expect(new Set(await seqs()).size).toBe(5);
    await context.close();
  });
});
