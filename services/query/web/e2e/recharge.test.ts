import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { launch, open } from "./support/browser";
import { panel } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("Auto-recharge", () => {
  it("is set by the account, and says at once and later what it does", async () => {
    // given an account a little above the mark that the form proposes
    const account = await TestAccount.open({ credit: "12.00" });
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    const recharge = panel(page, "Auto-recharge");
    await expect.poll(() => recharge.getByLabel("When the balance falls to").inputValue()).toBe("10.00");
    await recharge.getByLabel("Buy credits by itself").check();
    await recharge.getByRole("button", { name: "Save" }).click();
    await recharge.getByText("Saved").waitFor();
    await recharge.getByText("When the balance falls to $10.00").waitFor();
    // then it stands there after a reload as well
    await page.reload();
    await recharge.getByText("When the balance falls to $10.00").waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });
});
