import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount } from "./support/account";
import { launch, open, visit } from "./support/browser";
import { choose, panel, plain } from "./support/read";

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
