import { readFileSync } from "node:fs";

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { FACE, GROK, MODIFY, SMS, TestAccount, VIDEO } from "./support/account";
import { launch, open } from "./support/browser";
import { dollars, micro } from "./support/money";
import { ledgerRows, shown } from "./support/read";
import { ago, hours } from "./support/time";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open({ credit: "300.00" });
  await account.report([
    { work: MODIFY, event: "evt_one", booth: "bth_07" },
    { work: VIDEO, event: "evt_two" },
    { work: GROK, event: "evt_two", failed: true },
    { work: SMS, event: "evt_one" },
    { work: FACE, event: "evt_three", at: ago(hours(30)) },
  ]);
});
afterAll(() => browser.close());

describe("Activity", () => {
  it("S7, S12, S13: has six columns and every entry with the exact amount and the balance right after it", async () => {
    const { page, context, complaints } = await open(browser, account.key, "/activity");
    const entries = await account.entries({});
    await expect.poll(async () => (await ledgerRows(page.locator("main"))).length).toBe(entries.length);
    expect((await page.getByRole("columnheader").allTextContents()).map((name) => name.trim())).toEqual([
      "Date",
      "Service",
      "Type",
      "Status",
      "Transaction",
      "Balance",
    ]);
    const rows = await ledgerRows(page.locator("main"));
    expect(rows.map((row) => [row[4], row[5]])).toEqual(
      entries.map((entry) => [dollars(micro(entry.amount.amount), true), dollars(micro(entry.balance_after.amount))]),
    );
    const video = rows.find((row) => row[1]?.startsWith("AI Image To Video (Kling)"));
    expect(video?.slice(2, 5)).toEqual(["Consume", "Success", "\u2212$1.20"]);
    expect(rows.find((row) => row[3] === "Failed")?.[4]).toBe("$0.00");
    expect(rows.find((row) => row[4] === "+$300.00")).toBeDefined();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("S12: searches as one types, by service, event, booth", async () => {
    const { page, context } = await open(browser, account.key, "/activity");
    const search = page.getByRole("searchbox");
    for (const [words, count] of [
      ["kling", 1],
      ["evt_one", 2],
      ["bth_07", 1],
      ["nothing of the kind", 0],
    ] as const) {
      await search.fill(words);
      await expect.poll(async () => (await ledgerRows(page.locator("main"))).length, { message: words }).toBe(count);
    }
    await page.getByText("No activity matching").waitFor();
    await page.getByRole("button", { name: "Clear filters" }).first().click();
    await expect.poll(async () => (await ledgerRows(page.locator("main"))).length).toBeGreaterThan(5);
    await context.close();
  });

  it("S14: filters by service, dates and status live in the address, go back and open by link", async () => {
    const { page, context } = await open(browser, account.key, "/activity");
    const rows = async (): Promise<string[][]> => ledgerRows(page.locator("main"));
    await page.getByLabel("Status").selectOption({ label: "Failed" });
    await expect.poll(async () => (await rows()).map((row) => row[3])).toEqual(["Failed"]);
    await expect.poll(() => page.url()).toContain("status=failed");
    await page.getByLabel("Service").selectOption({ label: "AI Image To Video (Kling)" });
    await expect.poll(async () => (await rows()).length).toBe(0);
    await page.goBack();
    await expect.poll(async () => (await rows()).map((row) => row[3])).toEqual(["Failed"]);
    const link = page.url();
    const second = await context.newPage();
    await second.goto(link);
    await expect.poll(async () => (await ledgerRows(second.locator("main"))).map((row) => row[3])).toEqual(["Failed"]);
    await context.close();
  });

  it("S14: has what was done on the days that are chosen, by the account's calendar", async () => {
    const { page, context, complaints } = await open(browser, account.key, "/activity");
    const day = (time: string | Date): string =>
      new Intl.DateTimeFormat("sv-SE", { timeZone: account.zone, dateStyle: "short" }).format(new Date(time));
    // Thirty hours ago is another day than today, whatever the time is.
    const wanted = day(ago(hours(30)));
    const entries = (await account.entries({})).filter((entry) => day(entry.occurred_at) === wanted);
    expect(entries).toHaveLength(1);
    const button = page.getByRole("button", { name: /^Date range/ });
    const picker = page.getByRole("dialog", { name: "Select dates" });

    // given a picker that was opened and left by keys, then the focus is where it was
    await button.click();
    await picker.getByLabel("From").focus();
    await page.keyboard.press("Escape");
    await picker.waitFor({ state: "detached" });
    await expect.poll(() => button.evaluate((element) => element === document.activeElement)).toBe(true);

    // when two days are chosen
    await button.click();
    await picker.getByText("Days begin and end in New York time.").waitFor();
    await picker.getByLabel("From").fill(wanted);
    await picker.getByLabel("To, inclusive").fill(wanted);
    await picker.getByRole("button", { name: "Apply" }).click();

    // then the list has their entries, and the address has the days
    await expect
      .poll(async () => (await ledgerRows(page.locator("main"))).map((row) => row[4]))
      .toEqual(entries.map((entry) => dollars(micro(entry.amount.amount), true)));
    await expect.poll(() => new URL(page.url()).search).toBe(`?from=${wanted}&to=${wanted}`);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("tells why an entry was charged", async () => {
    const { page, context } = await open(browser, account.key, "/activity?q=kling");
    await page.locator("tr[data-seq]").first().click();
    const drawer = page.getByRole("dialog");
    await drawer.waitFor();
    await expect.poll(() => shown(drawer)).toContain("5 seconds \u00d7 $0.24");
    await expect.poll(() => shown(drawer)).toContain("EngineKling");
    await expect.poll(() => shown(drawer)).toContain("When New York time");
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
    await context.close();
  });

  it("shows what was done about a charge as a chain whose net is what it came to, and leads through it", async () => {
    const refunded = await TestAccount.open();
    await refunded.report([{ work: VIDEO }]);
    const charge = (await refunded.entries()).find((entry) => entry.type === "consume");
    await refunded.refund(charge?.entry_id ?? "");
    const { page, context, complaints } = await open(browser, refunded.key, `/activity?entry=${charge?.entry_id ?? ""}`);
    const drawer = page.getByRole("dialog");
    const chain = drawer.getByRole("region", { name: "Corrections" });
    await expect.poll(() => shown(chain)).toContain("This entry");
    await expect.poll(() => shown(chain)).toMatch(/Consume\u2212\$1\.20.*Refund\+\$1\.20.*Net\$0\.00/);
    await chain.getByRole("button", { name: "Refund" }).click();
    await expect.poll(() => new URL(page.url()).searchParams.get("entry")).not.toBe(charge?.entry_id);
    await expect.poll(() => shown(drawer)).toContain("blurred");
    await page.goBack();
    await expect.poll(() => shown(drawer)).toContain("5 seconds \u00d7 $0.24");
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("gives what is filtered as CSV", async () => {
    const { page, context } = await open(browser, account.key, "/activity?event=evt_one");
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Download CSV").click()]);
    const lines = readFileSync(await download.path(), "utf8")
      .trimEnd()
      .split("\r\n");
    const entries = (await account.entries({ event_id: "evt_one" })).map((entry) => entry.entry_id);
    expect(lines.slice(1).map((line) => line.split(",")[0])).toEqual(entries);
    await context.close();
  });
});
