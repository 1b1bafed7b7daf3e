import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { launch, open } from "./support/browser";
import { shown } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

async function ask(page: Page, amount: string, card?: string): Promise<void> {
  await page.getByLabel("Amount *").fill(amount);
  await page.getByRole("button", { name: "Buy credits" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  if (card !== undefined) await dialog.getByRole("combobox").selectOption(card);
  await dialog.getByRole("button", { name: /^Buy \$/ }).click();
}

const purchases = async (account: TestAccount): Promise<string[]> =>
  (await account.entries({ type: "purchase" })).map((entry) => entry.amount.amount);

describe("Buy credits", () => {
  it("S2: adds the exact amount and shows the new balance at once", async () => {
    const account = await TestAccount.open({ credit: "20.00" });
    const { page, context, complaints } = await open(browser, account.key);
    await ask(page, "123.45");
    await page.getByText("$123.45 added").waitFor();
    await expect.poll(() => shown(page.getByTestId("balance-amount"))).toBe("$143.45");
    expect(await purchases(account)).toEqual(["123.45"]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("says what is wrong with an amount, tied to the field", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    for (const [typed, message] of [
      ["", "Enter an amount"],
      ["49.99", "The smallest purchase is $50"],
      ["10000.01", "The largest purchase is $10,000"],
      ["fifty", "Enter dollars and cents"],
    ] as const) {
      await page.getByLabel("Amount *").fill(typed);
      await page.getByRole("button", { name: "Buy credits" }).click();
      const id = await page.getByLabel("Amount *").getAttribute("aria-describedby");
      await expect
        .poll(() => shown(page.locator(`[id="${id?.split(" ")[0] ?? ""}"]`)), { message: typed })
        .toContain(message);
      expect(await page.getByRole("dialog").count()).toBe(0);
    }
    await context.close();
  });

  it("says that a card was declined, and charges nothing", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await ask(page, "60", "4000000000000002");
    await page.getByText("The payment did not go through").waitFor();
    expect(await purchases(account)).toEqual([]);
    await context.close();
  });

  it.each([
    ["Approve", "$75.00 added", ["75.00"]],
    ["Decline", "The payment did not go through", []],
  ])("waits for the bank: %s", async (answer, outcome, bought) => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await ask(page, "75", "4000002500003155");
    await page.getByText("Your bank asks you to confirm").waitFor();
    await page.getByRole("button", { name: answer }).click();
    await page.getByText(outcome).waitFor();
    expect(await purchases(account)).toEqual(bought);
    await context.close();
  });

  it("keeps a purchase that was left open, and begins no other before it has ended", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await ask(page, "75", "4000002500003155");
    await page.getByText("Your bank asks you to confirm").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.getByText("An earlier purchase of $75.00 is still open").waitFor();

    // Another page, and there another purchase: it is told of the open one instead.
    await page.goto("/billing");
    await page.getByLabel("Amount *").fill("60");
    await page.getByRole("button", { name: "Buy credits" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("An earlier purchase of $75.00 is still open").waitFor();
    expect(await dialog.getByRole("button", { name: /^Buy \$/ }).count()).toBe(0);
    await dialog.getByRole("button", { name: "Check again" }).click();
    await page.getByText("Your bank asks you to confirm").waitFor();
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByText("$75.00 added").waitFor();
    expect(await purchases(account)).toEqual(["75.00"]);
    await page.getByRole("button", { name: "Done" }).click();

    await ask(page, "60");
    await page.getByText("$60.00 added").waitFor();
    expect(await purchases(account)).toEqual(["60.00", "75.00"]);
    await context.close();
  });

  it("buys once when the dialog is closed while it is not known whether the money was taken", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    // The purchase reaches the server; its answers are lost until the patience of the page ends.
    let lost = 0;
    await page.route("**/purchases", async (route) => {
      await route.fetch();
      lost += 1;
      await route.abort();
    });
    await ask(page, "65");
    await page.getByText("No answer yet").waitFor({ timeout: 90_000 });
    expect(lost).toBeGreaterThan(1);
    await page.keyboard.press("Escape");
    await page.unroute("**/purchases");

    await page.getByRole("button", { name: "Buy credits" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Check again" }).click();
    await page.getByText("$65.00 added").waitFor();
    expect(await purchases(account)).toEqual(["65.00"]);
    await context.close();
  }, 150_000);

  it("asks again when the answer is lost, and buys once", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await ask(page, "88", "4000000000000119");
    await page.getByText("$88.00 added").waitFor({ timeout: 30_000 });
    expect(await purchases(account)).toEqual(["88.00"]);
    await context.close();
  });
});
