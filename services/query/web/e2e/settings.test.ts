import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount } from "./support/account";
import { launch, open, visit } from "./support/browser";
import { choose, ledgerRows, panel, plain } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("A time zone", () => {
  it("has one name on every page", async () => {
    const account = await TestAccount.open({ zone: "America/Denver" });
    await account.event("evt_gala", { name: "Gala Night" });
    await account.report([{ work: MODIFY }]);
    const { page, context } = await open(browser, account.key);
    await panel(page, "Recent Activity").getByText("Gala Night").waitFor();
    for (const path of ["/", "/events", "/events/evt_gala/analytics", "/activity", "/billing", "/settings"]) {
      await page.goto(path);
      await page.getByText("Denver time").first().waitFor();
      await expect.poll(() => page.locator("[aria-busy='true']").count(), { message: path }).toBe(0);
      const said = (await page.locator("main").innerText()).match(/America\/\w+|.{0,12}\bDenver\b(?! time).{0,12}/g);
      expect(said, path).toBeNull();
    }
    await context.close();
  });
});

describe("Name and time zone", () => {
  it("are changed in a form, and every page follows at once", async () => {
    // Work of an hour of which the day is another one in Tokyo.
    const account = await TestAccount.open({ zone: "America/Denver", name: "Luna Booths" });
    await account.report([{ work: MODIFY }]);
    const { page, context, complaints } = await open(browser, account.key);
    const recent = panel(page, "Recent Activity");
    await expect.poll(async () => (await ledgerRows(recent)).length).toBeGreaterThan(0);
    const entry = (await account.entries()).find((one) => one.type === "consume");
    const at = new Date(entry?.occurred_at ?? 0);
    const clock = (timeZone: string): string =>
      plain(new Intl.DateTimeFormat("en-US", { timeZone, hour: "numeric", minute: "2-digit", second: "2-digit" }).format(at));
    const charged = recent.locator("tbody tr[data-seq]").filter({ hasText: "Consume" }).first();
    await expect.poll(async () => plain(await charged.innerText())).toContain(clock("America/Denver"));

    await page.goto("/settings");
    const settings = panel(page, "Account");
    await settings.getByText("Denver time").waitFor();
    await settings.getByRole("button", { name: "Change" }).click();
    const dialog = page.getByRole("dialog", { name: "Name and time zone" });
    expect(await dialog.getByLabel("Name").inputValue()).toBe("Luna Booths");
    expect(await dialog.getByLabel("Time zone").inputValue()).toBe("America/Denver");
    // What is no name is not sent.
    await dialog.getByLabel("Name").fill(" ");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText("Enter a name.").waitFor();
    await dialog.getByLabel("Name").fill("Sol Booths");
    await dialog.getByLabel("Time zone").selectOption({ label: "Tokyo (Asia)" });
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "detached" });
    await settings.getByText("Tokyo time").waitFor();
    await settings.getByText("Sol Booths").waitFor();
    expect(await settings.getByText("Denver time").count()).toBe(0);

    // Without the page being loaded anew.
    await page.getByRole("link", { name: "Dashboard" }).first().click();
    await page.getByText("Tokyo time").first().waitFor();
    await expect.poll(async () => plain(await charged.innerText())).toContain(clock("Asia/Tokyo"));
    expect(await page.getByText("Denver time").count()).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("say in the form why they were not saved, and are sent again as they were", async () => {
    const account = await TestAccount.open({ zone: "America/Denver" });
    const { page, context } = await open(browser, account.key, "/settings");
    const asked: (string | undefined)[] = [];
    await page.route("**/v1/accounts/*/profile", async (route) => {
      asked.push(route.request().headers()["idempotency-key"]);
      if (asked.length > 1) return route.continue();
      const problem = { title: "Not now", status: 503, code: "unavailable", detail: "the meter is away" };
      return route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(problem) });
    });
    const settings = panel(page, "Account");
    await settings.getByRole("button", { name: "Change" }).click();
    const dialog = page.getByRole("dialog", { name: "Name and time zone" });
    await dialog.getByLabel("Time zone").selectOption("Asia/Kathmandu");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText("the meter is away").waitFor();
    expect(await settings.getByText("Denver time").count()).toBe(1);
    await dialog.getByRole("button", { name: "Save" }).click();
    await settings.getByText("Kathmandu time").waitFor();
    expect(asked.length).toBe(2);
    expect(asked[0]).toBe(asked[1]);
    await context.close();
  });
});

describe("A table's head", () => {
  it("sorts by what is pressed, and says by what and which way", async () => {
    const account = await TestAccount.open();
    const work = (booth: string, count: number) => Array.from({ length: count }, () => ({ work: MODIFY, booth }));
    await account.report([...work("bth_few", 1), ...work("bth_many", 3), ...work("bth_some", 2)]);
    const { page, context, complaints } = await open(browser, account.key, "/settings");
    const booths = panel(page, "Booths");
    const head = booths.getByRole("columnheader", { name: "Activities" });
    const counts = async (): Promise<string[]> =>
      (await booths.locator("tbody tr td:nth-child(3)").allTextContents()).map(plain);
    await expect.poll(async () => [...(await counts())].sort()).toEqual(["1", "2", "3"]);
    expect(await head.getAttribute("aria-sort")).toBeNull();
    for (const [way, order] of [
      ["descending", ["3", "2", "1"]],
      ["ascending", ["1", "2", "3"]],
    ] as const) {
      await head.getByRole("button").focus();
      await page.keyboard.press("Enter");
      await expect.poll(counts).toEqual(order);
      expect(await head.getAttribute("aria-sort")).toBe(way);
    }
    expect(await booths.locator("[aria-sort]").count()).toBe(1);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("The theme", () => {
  it("follows the system until one is chosen, and a choice stays", async () => {
    const { page, context } = await visit(browser, { theme: "light" });
    const theme = (): Promise<string | null> => page.locator("html").getAttribute("data-theme");
    await page.goto("/pricing");
    const choice = page.getByRole("group", { name: "Theme" });
    await choice.waitFor();
    expect(await theme()).toBe("light");
    await page.emulateMedia({ colorScheme: "dark" });
    await expect.poll(theme).toBe("dark");

    await choose(choice, "Light");
    await expect.poll(theme).toBe("light");
    await page.reload();
    await choice.waitFor();
    expect(await theme()).toBe("light");
    expect(await choice.getByRole("radio", { name: "Light" }).isChecked()).toBe(true);

    await choose(choice, "System");
    await expect.poll(theme).toBe("dark");
    await context.close();
  });
});
