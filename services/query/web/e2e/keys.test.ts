import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open, visit, signIn } from "./support/browser";
import { env } from "./support/env";
import { send } from "./support/http";
import { panel, shown } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** Whether a key is taken. */
const isTaken = async (account: TestAccount, key: string): Promise<number> =>
  (await send("GET", `${env.queryUrl}/v1/accounts/${account.id}/balance`, key)).status;

/** The keys of an account, as an administrator has them before them. */
async function keysOf(page: Page, account: TestAccount): Promise<Locator> {
  await signIn(page, env.adminKey);
  await page.goto(`/settings?account=${account.id}`);
  return panel(page, "API keys");
}

describe("API keys", () => {
  it("are made by an administrator, shown once, and revoked for good", async () => {
    const account = await TestAccount.open({ name: "Keyed Booths" });
    const { page, context, complaints } = await visit(browser);
    await signIn(page, env.adminKey);
    await page.getByLabel("Search accounts").fill(account.id);
    await page.getByText("Keyed Booths").first().click();
    await page.getByTestId("balance-amount").waitFor();
    await page.goto("/settings");
    const keys = panel(page, "API keys");
    await keys.getByRole("button", { name: "New key" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("radio", { name: "Account" }).check();
    await dialog.getByLabel("Label").fill("Backend");
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Create key" }).click();
    const key = await shown(dialog.getByTestId("secret"));
    expect(key).toMatch(/^tb_sk_/);
    expect(await isTaken(account, key)).toBe(200);
    await dialog.getByRole("button", { name: "Done" }).click();
    const row = keys.locator("tbody tr").filter({ hasText: "Backend" });
    await row.getByText("Active").waitFor();
    expect(await page.content()).not.toContain(key);
    expect(await shown(row)).toContain(key.slice(-4));

    await row.getByRole("button", { name: "Revoke Backend" }).click();
    await dialog.getByRole("button", { name: "Revoke key" }).click();
    await row.getByText("Revoked").waitFor();
    await expect.poll(() => isTaken(account, key)).toBe(401);
    expect(await row.getByRole("button").count()).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("are rotated: the new one is shown once, and the one before it is taken as long as was chosen", async () => {
    const account = await TestAccount.open();
    const { page, context, complaints } = await visit(browser);
    const keys = await keysOf(page, account);
    const dialog = page.getByRole("dialog");
    const rotate = async (overlap: string): Promise<string> => {
      await keys.getByRole("button", { name: "Rotate e2e" }).click();
      await dialog.getByRole("combobox").selectOption({ label: overlap });
      await dialog.getByRole("button", { name: "Rotate key" }).click();
      const key = await shown(dialog.getByTestId("secret"));
      expect(await dialog.getByText("The previous key works until").count()).toBe(overlap === "1 hour" ? 1 : 0);
      await dialog.getByRole("button", { name: "Done" }).click();
      return key;
    };

    const second = await rotate("1 hour");
    expect(second).toMatch(/^tb_sk_/);
    expect(second).not.toBe(account.key);
    await keys.locator("tbody tr").filter({ hasText: account.key.slice(-4) }).getByText("Replaced").waitFor();
    expect([await isTaken(account, account.key), await isTaken(account, second)]).toEqual([200, 200]);
    expect(await page.content()).not.toContain(second);

    // What was replaced cannot be rotated once more: the one button left is that of the new key.
    const third = await rotate("No time: it stops at once");
    await expect.poll(() => isTaken(account, second)).toBe(401);
    expect(await isTaken(account, third)).toBe(200);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("are only looked at with an account's key, if at all", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key, "/settings");
    const keys = panel(page, "API keys");
    await keys.getByText("Keys are created and revoked by an administrator.").waitFor();
    expect(await keys.getByRole("button", { name: /^(New key|Revoke|Rotate)/ }).count()).toBe(0);
    await context.close();
  });
});
