import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { COMBINE, MODIFY, SMS, TestAccount, VIDEO, type Entry } from "./support/account";
import { launch, open } from "./support/browser";
import { dollars, micro, sum } from "./support/money";
import { choose, hoverBlock, ledgerRows, panel, plain, shown, tableRows } from "./support/read";
import { ago, hours, longDay, shortDay } from "./support/time";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const charges = (entries: readonly Entry[]): Entry[] => entries.filter((entry) => entry.type === "consume");
const successes = (entries: readonly Entry[]): Entry[] =>
  charges(entries).filter((entry) => entry.status === "success");
const spent = (entries: readonly Entry[]): bigint => -sum(charges(entries).map((entry) => entry.amount.amount));

describe("Dashboard", () => {
  it("S1, S2, S6, S17: shows balance, the way to raise it, every transaction, and the figures", async () => {
    const account = await TestAccount.open({ credit: "250.00" });
    await account.report([
      { work: MODIFY, event: "evt_one" },
      { work: VIDEO, event: "evt_two" },
      { work: SMS, event: "evt_one", failed: true },
    ]);
    const entries = await account.entries();
    const { page, context, complaints } = await open(browser, account.key);

    const balance = sum(entries.map((entry) => entry.amount.amount));
    await expect.poll(() => shown(page.getByTestId("balance-amount"))).toBe(dollars(balance));
    const [coin, amount, field, button] = await Promise.all([
      page.getByTestId("balance").locator("svg").first().boundingBox(),
      page.getByTestId("balance-amount").boundingBox(),
      page.getByLabel("Amount *").boundingBox(),
      page.getByRole("button", { name: "Buy credits" }).boundingBox(),
    ]);
    expect(coin && amount && coin.x < amount.x).toBe(true);
    expect(amount && field && amount.x + amount.width <= field.x).toBe(true);
    expect(field && button && field.x < button.x).toBe(true);
    expect(await page.getByLabel("Amount *").getAttribute("inputmode")).toBe("decimal");

    const expected = entries.filter((entry) => entry.type === "consume" || entry.type === "adjustment");
    await expect
      .poll(async () => (await ledgerRows(panel(page, "Recent Activity"))).map((row) => row[4]))
      .toEqual(expected.map((entry) => dollars(micro(entry.amount.amount), true)));

    await expect.poll(() => shown(page.getByLabel("Figures"))).toContain(dollars(spent(entries)));
    for (const name of ["Current balance", "Total credits used", "Credits purchased", "Net usage"]) {
      expect(await shown(page.getByLabel("Figures"))).toContain(name);
    }
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("S3, S4, S5: tells the precise number of every month on hover and by keys", async () => {
    const account = await TestAccount.open({ plan: "basic" });
    const { midnight } = shortDay(new Date());
    const at = (days: number): Date => new Date(midnight.getTime() + days * hours(24));
    await account.report([
      ...Array.from({ length: 7 }, () => ({ work: MODIFY, at: at(-1) })),
      ...Array.from({ length: 3 }, () => ({ work: COMBINE, at: at(1) })),
      { work: VIDEO, at: at(1), failed: true },
    ]);
    const year = midnight.getUTCFullYear();
    const path = `/?period=dates&from=${String(year)}-03-01&to=${String(year)}-03-31`;
    const { page, context, complaints } = await open(browser, account.key, path);
    const timeline = panel(page, "Activity Timeline");
    for (const toggle of ["This Year", "This Month", "Select Dates"]) {
      await timeline.getByRole("radio", { name: toggle }).waitFor();
    }
    expect(await timeline.getByRole("radio", { name: "Select Dates" }).isChecked()).toBe(true);
    await timeline.locator(".tl-hit").waitFor();

    const march = (await account.entries()).filter((entry) => entry.occurred_at.startsWith(`${String(year)}-03`));
    await expect.poll(() => shown(page.getByTestId("timeline-total"))).toContain(String(successes(march).length));

    await timeline.getByRole("button", { name: "Show as table" }).click();
    await expect.poll(async () => (await tableRows(timeline)).length).toBe(31);
    const rows = await tableRows(timeline);
    expect(rows.reduce((total, row) => total + Number(row[1]), 0)).toBe(successes(march).length);
    expect(rows.reduce((total, row) => total + Number(row[3]), 0)).toBe(1);
    await timeline.getByRole("button", { name: "Show as chart" }).click();

    await hoverBlock(timeline, "Mar 1");
    const box = (): Promise<string> => shown(page.getByTestId("chart-box"));
    await expect.poll(box).toContain("0 activities");
    const chart = timeline.getByRole("application");
    await chart.focus();
    await page.keyboard.press("Home");
    const day = new Date(midnight).getUTCDate();
    for (let step = 1; step < day - 1; step += 1) await page.keyboard.press("ArrowRight");
    await expect.poll(box).toContain("7 activities");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await expect.poll(box).toContain("3 activities");
    expect(await box()).toContain(dollars(750_000n));
    expect(await box()).toContain("1 failed");
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByTestId("chart-box").count()).toBe(0);
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/activity\?/);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("S4: toggles change the blocks and the address, and the back button undoes", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: MODIFY, at: ago(hours(2)) }]);
    const { page, context } = await open(browser, account.key, "/?period=year");
    const timeline = panel(page, "Activity Timeline");
    await timeline.getByRole("button", { name: "Show as table" }).click();
    await expect.poll(async () => plain((await tableRows(timeline))[0]?.[0] ?? "")).toMatch(/^January \d{4}/);
    await choose(timeline, "This Month");
    await expect.poll(() => page.url()).toContain("period=month");
    await expect.poll(async () => plain((await tableRows(timeline))[0]?.[0] ?? "")).toMatch(/, \w{3} 1, \d{4}/);
    await page.goBack();
    await expect.poll(() => timeline.getByRole("radio", { name: "This Year" }).isChecked()).toBe(true);

    // A picker that is left by Escape gives the focus to the button that opens it again.
    await choose(timeline, "Select Dates");
    const picker = page.getByRole("dialog", { name: "Select dates" });
    await picker.getByLabel("From").focus();
    await page.keyboard.press("Escape");
    await picker.waitFor({ state: "detached" });
    const reopens = timeline.getByRole("button", { name: /^Change dates, now/ });
    await expect.poll(() => reopens.evaluate((element) => element === document.activeElement)).toBe(true);
    await context.close();
  });

  it("counts hours of days with 23 and 25 hours where they happened", async () => {
    const account = await TestAccount.open({ zone: "America/New_York" });
    const [short, long] = [shortDay(new Date()), longDay(new Date())];
    await account.report([
      { work: MODIFY, at: new Date(short.midnight.getTime() + hours(2.5)) },
      // One hour comes twice: an activity in each.
      { work: MODIFY, at: new Date(long.midnight.getTime() + hours(1.5)) },
      { work: MODIFY, at: new Date(long.midnight.getTime() + hours(2.5)) },
    ]);
    const { page, context } = await open(browser, account.key, `/?period=dates&from=${short.day}&to=${short.day}`);
    const timeline = panel(page, "Activity Timeline");
    await timeline.getByRole("button", { name: "Show as table" }).click();
    /** The blocks with one activity, of how many. */
    const busy = async (): Promise<[number[], number]> => {
      const rows = await tableRows(timeline);
      return [rows.flatMap((row, index) => (row[1] === "1" ? [index] : [])), rows.length];
    };
    await expect.poll(busy).toEqual([[2], 23]);

    await page.goto(`/?period=dates&from=${long.day}&to=${long.day}`);
    await timeline.getByRole("button", { name: "Show as table" }).click();
    await expect.poll(busy).toEqual([[1, 2], 25]);
    const names = (await tableRows(timeline)).slice(1, 3).map((row) => row[0] ?? "");
    expect(names[0]).toContain("EDT");
    expect(names[1]).toContain("EST");

    // and the two rows that the clocks would show alike say which of the two hours it was
    const rows = await ledgerRows(panel(page, "Recent Activity"));
    expect(rows.map(([date = ""]) => / E[DS]T$/.exec(date)?.[0] ?? "").filter(Boolean)).toEqual([" EST", " EDT"]);
    await context.close();
  });

  it("says so when there is nothing yet", async () => {
    const account = await TestAccount.open({ credit: "0" });
    const { page, context, complaints } = await open(browser, account.key);
    await expect.poll(() => shown(page.getByTestId("balance-amount"))).toBe("$0.00");
    await page.getByText("Nothing yet").waitFor();
    await page.getByText("No activity in this period.").first().waitFor({ state: "attached" });
    expect(complaints).toEqual([]);
    await context.close();
  });
});
