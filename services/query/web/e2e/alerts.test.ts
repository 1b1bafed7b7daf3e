import type { Browser, Locator } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount, VIDEO } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open, PHONE } from "./support/browser";
import { command, read } from "./support/http";
import { dollars, micro } from "./support/money";
import { panel, plain, shown } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

interface Alerts {
  rules: {
    balance_below: { amount: string }[];
    below_top_up_percent: number[];
    event_budget_percent: number[];
    recharge_failed: boolean;
    empty_in_hours: number | null;
    booth_spike?: { times: number; at_least: { amount: string } } | null;
  } | null;
}

const rulesOf = async (account: TestAccount): Promise<Alerts["rules"]> =>
  (await read<Alerts>(`/v1/accounts/${account.id}/alerts`)).rules;

const lines = async (alerts: Locator): Promise<string[]> =>
  (await alerts.locator(".alert-rule").allTextContents()).map(plain);

describe("Alerts", () => {
  it("are set, tell what is crossed without a reload, and lead to what crossed it", async () => {
    const account = await TestAccount.open({ credit: "30.00" });
    await account.event("evt_gala", { name: "Gala Night", budget: { amount: "5.00", on_exceeded: "warn" } });
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    const alerts = panel(page, "Alerts");
    await alerts.getByText("No alerts are set").waitFor();

    // When rules are set,
    await alerts.getByRole("button", { name: "Set up alerts" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Balance falls below: Amount 1", { exact: true }).fill("25");
    await dialog.getByRole("button", { name: "Add an amount" }).click();
    await dialog.getByLabel("Balance falls below: Amount 2", { exact: true }).fill("1.5");
    await dialog.getByLabel("The balance is about to run out").check();
    await dialog.getByLabel("Hours").fill("1");
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Save alerts" }).click();
    await alerts.getByText("Alerts saved").waitFor();
    // then they are the ledger's, and stand armed.
    await expect.poll(() => rulesOf(account)).toMatchObject({
      balance_below: [{ amount: "1.50" }, { amount: "25.00" }],
      below_top_up_percent: [],
      event_budget_percent: [80, 100],
      recharge_failed: true,
      empty_in_hours: 1,
    });
    const stand = ["Balance below $25.00Armed", "Balance lasts less than 1 hourOn"];
    await expect.poll(() => lines(alerts)).toEqual(expect.arrayContaining(stand));
    expect((await lines(alerts)).filter((line) => line.includes("of its budget"))).toHaveLength(2);

    // When the event spends 7.20 of 30.00,
    await account.report(Array.from({ length: 6 }, () => ({ work: VIDEO })));
    // then the amount and both marks of the budget are told, with the balance of the entry that crossed.
    const told = alerts.locator(".alert-recent tbody tr");
    const row = told.filter({ hasText: "Balance fell below $25.00" });
    await row.waitFor({ timeout: 40_000 });
    await expect.poll(async () => (await lines(alerts)).join("|"), { timeout: 40_000 }).toMatch(/\$25\.00since .*Triggered/);
    const entries = [...(await account.entries())].reverse();
    const crossed = entries.find((entry) => entry.type === "consume" && micro(entry.balance_after.amount) < 25_000_000n);
    expect(await shown(row.locator("td").nth(2))).toBe(dollars(micro(crossed?.balance_after.amount ?? "0")));
    await expect.poll(async () => (await told.allTextContents()).filter((text) => text.includes("Gala Night reached")).length, { timeout: 40_000 }).toBe(2);
    await row.getByRole("button", { name: /Show what caused alert/ }).click();
    await page.getByRole("dialog").getByText(crossed?.operation_id ?? "no entry", { exact: false }).first().waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("tell of a booth that spends far more in an hour than it used to", async () => {
    const account = await TestAccount.open();
    await command("PUT", `/v1/accounts/${account.id}/booths/bth_left`, { name: "Left", paused: false }, "booth");
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    const alerts = panel(page, "Alerts");
    const dialog = page.getByRole("dialog");
    await alerts.getByRole("button", { name: "Set up alerts" }).click();
    await dialog.getByLabel("A booth spends far more than usual").check();
    // What cannot be is said at its field, and not sent.
    await dialog.getByLabel("Times its average hour").fill("1");
    await dialog.getByLabel("And at least, in the hour").fill("some");
    await dialog.getByRole("button", { name: "Save alerts" }).click();
    await dialog.getByText("Enter a whole number from 2 to 100").waitFor();
    await dialog.getByText("Enter an amount like 20.00").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByLabel("Times its average hour").fill("3");
    await dialog.getByLabel("And at least, in the hour").fill("0.5");
    await dialog.getByRole("button", { name: "Save alerts" }).click();
    await alerts.getByText("Alerts saved").waitFor();
    await expect
      .poll(async () => (await rulesOf(account))?.booth_spike)
      .toMatchObject({ times: 3, at_least: { amount: "0.50" } });
    await expect.poll(() => lines(alerts)).toContain("A booth spends 3 times its average hour, and at least $0.50for each boothOn");

    // Given an image in each of six hours of the past, when 3.60 is spent in the one after them,
    const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000;
    const at = (hoursAgo: number): Date => new Date(hour - hoursAgo * 3_600_000);
    await account.report([8, 7, 6, 5, 4, 3].map((ago) => ({ work: MODIFY, at: at(ago), booth: "bth_left" })));
    await account.report([1, 2, 3].map(() => ({ work: VIDEO, at: at(2), booth: "bth_left" })));
    // then it is told once, with the booth's name.
    const told = alerts.locator(".alert-recent tbody tr").filter({ hasText: "in an hour" });
    await told.first().waitFor({ timeout: 40_000 });
    expect(await told.allTextContents()).toHaveLength(1);
    expect(await shown(told.locator("td").nth(1))).toMatch(/^Left spent \$[\d.]+ in an hour, \$0\.24 on average before$/);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("say which line is wrong, at that line, and send nothing", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key, "/billing");
    await panel(page, "Alerts").getByRole("button", { name: "Set up alerts" }).click();
    const dialog = page.getByRole("dialog");
    for (const [label, typed, said] of [
      ["Balance falls below: Amount 1", "ten", "Enter an amount like 20.00"],
      ["An event\u2019s spend reaches a percentage of its budget: Percentage 1", "1001", "Enter a whole number from 1 to 1,000"],
      ["An event\u2019s spend reaches a percentage of its budget: Percentage 2", "100.5", "Enter a whole number from 1 to 1,000"],
    ] as const) {
      const field = dialog.getByLabel(label, { exact: true });
      await field.fill(typed);
      await dialog.getByRole("button", { name: "Save alerts" }).click();
      const id = (await field.getAttribute("aria-describedby"))?.split(" ")[0] ?? "";
      expect(await shown(dialog.locator(`[id="${id}"]`))).toBe(said);
    }
    expect(await rulesOf(account)).toBeNull();
    await context.close();
  });

  it("can be set on a phone, and all be taken away", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key, "/billing", { size: PHONE, touch: true });
    const alerts = panel(page, "Alerts");
    const dialog = page.getByRole("dialog");
    await alerts.getByRole("button", { name: "Set up alerts" }).click();
    await dialog.getByRole("button", { name: "Save alerts" }).click();
    await alerts.getByText("Balance below $20.00").waitFor();
    await alerts.getByRole("button", { name: "Edit alerts" }).click();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    expect(wide).toBe(false);
    const remove = dialog.getByRole("button", { name: /^Remove / });
    for (let left = await remove.count(); left > 0; left -= 1) await remove.first().click();
    await dialog.getByLabel("Auto-recharge fails").uncheck();
    await dialog.getByRole("button", { name: "Save alerts" }).click();
    await alerts.getByText("No alerts are set").waitFor();
    await expect.poll(() => rulesOf(account)).toMatchObject({ balance_below: [], event_budget_percent: [], recharge_failed: false });
    await context.close();
  });
});
