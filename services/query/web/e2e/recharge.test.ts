import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { launch, open } from "./support/browser";
import { panel, shown } from "./support/read";

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
    await recharge.getByLabel("Enable auto-recharge").check();
    await recharge.getByRole("button", { name: "Save" }).click();
    await recharge.getByText("Saved").waitFor();
    await recharge.getByText("When the balance falls to $10.00").waitFor();
    // then it stands there after a reload as well
    await page.reload();
    await recharge.getByText("When the balance falls to $10.00").waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("buys below its mark, and purchase, balance and what is left of the caps follow by themselves", async () => {
    // given an account below the mark, whose page is open and never reloaded
    const account = await TestAccount.open({ credit: "5.00" });
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    const purchases = panel(page, "Purchase history").locator("tr[data-seq]");
    await expect.poll(() => purchases.count()).toBe(1);
    const recharge = panel(page, "Auto-recharge");
    // when it is switched on
    await recharge.getByLabel("Amount to buy").fill("120.00");
    await recharge.getByLabel("Enable auto-recharge").check();
    await recharge.getByRole("button", { name: "Save" }).click();
    // then the purchase is listed
    await expect.poll(() => purchases.count()).toBe(2);
    const row = purchases.first();
    expect(await shown(row.locator(".cell-type"))).toBe("Auto-recharge");
    expect(await shown(row.locator(".cell-amount"))).toBe("+$120.00");
    expect(await shown(row.locator(".cell-balance"))).toBe("$125.00");
    // and every other figure of the page is that of the ledger
    await panel(page, "Buy credits").getByText("$125.00").waitFor();
    await panel(page, "Balance breakdown").getByText("$125.00").first().waitFor();
    await recharge.getByText("$120.00 of $1,200.00 bought today").waitFor();
    // when the credit is gone once more
    await account.credit("-116.00");
    // then it buys again, and the page is told so
    await panel(page, "Buy credits").getByText("$129.00").waitFor();
    await recharge.getByText("$240.00 of $1,200.00 bought today").waitFor();
    await expect.poll(() => shown(purchases.first().locator(".cell-balance"))).toBe("$129.00");
    const bought = (await account.entries({ type: "auto_recharge" })).map(({ amount }) => amount.amount);
    expect(bought).toEqual(["120.00", "120.00"]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
