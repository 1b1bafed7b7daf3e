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

  it("are told to a screen reader politely, summed up and not row by row", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await expect.poll(async () => (await ledgerRows(panel(page, "Recent Activity"))).length).toBe(1);
    const region = page.getByTestId("live-region");
    expect(await region.getAttribute("aria-live")).toBe("polite");
    // every text that it ever has, with the time
    await region.evaluate((element) => {
      const said: [number, string][] = [];
      Object.assign(window, { said });
      const look = (): unknown => said.push([performance.now(), element.textContent]);
      new MutationObserver(look).observe(element, { childList: true, characterData: true, subtree: true });
    });
    const said = (): Promise<[number, string][]> =>
      page.evaluate(() => (window as unknown as { said: [number, string][] }).said);
    const told = async (): Promise<number> =>
      (await said()).reduce((total, [, words]) => total + Number(/^(\d+) new/.exec(words)?.[1] ?? 0), 0);
    // when work goes on until it has spoken twice
    let reported = 0;
    while ((await said()).length < 2) {
      await account.report([{ work: VIDEO }, { work: MODIFY }, { work: MODIFY }]);
      reported += 3;
    }
    // then it counted everything, and let five seconds pass in between: a second less where the first was drawn late
    await expect.poll(told).toBe(reported);
    const times = (await said()).map(([time]) => time);
    for (const [index, time] of times.slice(1).entries()) expect(time - (times[index] ?? 0)).toBeGreaterThan(4_000);
    const balance = dollars(sum((await account.entries()).map((entry) => entry.amount.amount)));
    expect((await said()).at(-1)?.[1]).toContain(balance);
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
      .poll(seqs)
      .toEqual(entries.filter((entry) => ["consume", "adjustment"].includes(entry.type)).map((entry) => entry.seq));
    await account.report([{ work: VIDEO }]);
    await expect.poll(async () => (await seqs()).length).toBe(5);
    expect(new Set(await seqs()).size).toBe(5);
    await context.close();
  });
});
