import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount, VIDEO } from "./support/account";
import { launch, open, PHONE } from "./support/browser";
import { choose, panel, plain, shown } from "./support/read";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open();
  await account.report([{ work: MODIFY }, { work: VIDEO }]);
});
afterAll(() => browser.close());

describe("On a phone", () => {
  it("S5: a tap shows the precise number under the chart, and stays", async () => {
    const { page, context } = await open(browser, account.key, "/?period=month", { size: PHONE, touch: true });
    const timeline = panel(page, "Activity Timeline");
    const plot = timeline.locator(".tl-hit");
    await plot.scrollIntoViewIfNeeded();
    await plot.tap();
    const box = page.getByTestId("chart-box");
    expect(await shown(box)).toMatch(/\d activit(y|ies)/);
    const [chart, below] = [await plot.boundingBox(), await box.boundingBox()];
    expect(chart && below && below.y >= chart.y + chart.height - 1).toBe(true);
    await box.getByRole("button", { name: /^Show this day/ }).tap();
    await page.waitForURL(/\/activity\?/);
    await context.close();
  });

  it("offers the system's own date picker instead of a calendar", async () => {
    const { page, context } = await open(browser, account.key, "/?period=year", { size: PHONE, touch: true });
    await choose(panel(page, "Activity Timeline"), "Select Dates");
    const dialog = page.getByRole("dialog", { name: "Select dates" });
    await dialog.waitFor();
    expect(await dialog.locator("input[type=date]").count()).toBe(2);
    expect(await dialog.locator(".month").count()).toBe(0);
    await dialog.getByLabel("From").fill("");
    await dialog.getByRole("button", { name: "Apply" }).tap();
    await expect.poll(() => shown(dialog.getByRole("alert"))).toBe("Enter the first day.");
    await context.close();
  });

  it("a list is a card a row, each value beside its name, and is sorted by a choice", async () => {
    const many = await TestAccount.open();
    const jobs = [["bth_a", 1], ["bth_b", 3], ["bth_c", 2], ["bth_d", 1]] as const;
    await many.report(jobs.flatMap(([booth, count]) => Array.from({ length: count }, () => ({ work: MODIFY, booth }))));
    const { page, context } = await open(browser, many.key, "/settings", { size: PHONE, touch: true });
    const booths = panel(page, "Booths");
    const names = async (): Promise<string[]> => (await booths.locator("tbody tr td:first-child").allTextContents()).map(plain);
    await booths.getByLabel("Sort by").selectOption({ label: "Activities, descending" });
    await expect.poll(async () => (await names()).slice(0, 2)).toEqual(["bth_b", "bth_c"]);
    await booths.getByLabel("Sort by").selectOption({ label: "Booth, ascending" });
    await expect.poll(names).toEqual(["bth_a", "bth_b", "bth_c", "bth_d"]);
    const [name, spent] = await Promise.all(
      ["td:first-child", "td[data-label='Credits used']"].map((cell) => booths.locator("tbody tr").first().locator(cell).boundingBox()),
    );
    if (!name || !spent) throw new Error("a cell is not shown");
    expect(spent.y).toBeGreaterThan(name.y);
    expect(await booths.locator("thead").isVisible()).toBe(false);
    await context.close();
  });

  it("a row is a card of two lines, and targets are large enough for a finger", async () => {
    const { page, context } = await open(browser, account.key, "/", { size: PHONE, touch: true });
    const row = panel(page, "Recent Activity").locator("tr[data-seq]").first();
    await row.waitFor();
    const [service, amount, date, balance] = await Promise.all(
      [".cell-service", ".cell-amount", ".cell-date", ".cell-balance"].map((cell) => row.locator(cell).boundingBox()),
    );
    if (!service || !amount || !date || !balance) throw new Error("a cell is not shown");
    expect(Math.abs(service.y + service.height / 2 - (amount.y + amount.height / 2))).toBeLessThan(12);
    expect(date.y).toBeGreaterThan(service.y);
    expect(balance.y).toBeGreaterThan(amount.y);
    for (const toggle of await panel(page, "Activity Timeline").locator(".period-toggle").all()) {
      expect((await toggle.boundingBox())?.height ?? 0).toBeGreaterThanOrEqual(44);
    }
    await context.close();
  });
});
