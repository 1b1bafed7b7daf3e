import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount, VIDEO } from "./support/account";
import { launch, open } from "./support/browser";
import { dollars, sum } from "./support/money";
import { ledgerRows, panel, shown } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("Auto-recharge", () => {
  it("is set by the account, buys once the balance falls to its mark, and says so without a reload", async () => {
    // given an account a little above the mark that the form proposes
    const account = await TestAccount.open({ credit: "12.00" });
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    const recharge = panel(page, "Auto-recharge");
    await expect.poll(() => recharge.getByLabel("When the balance falls to").inputValue()).toBe("10.00");
    await recharge.getByLabel("Buy credits by itself").check();
    await recharge.getByRole("button", { name: "Save" }).click();
    await recharge.getByText("Saved").waitFor();
    await recharge.getByText("When the balance falls to $10.00").waitFor();

    // when work takes it there
    await account.report([{ work: VIDEO }, { work: VIDEO }]);

    // then credits are bought, once, and stand in the history with the balance after them
    const history = panel(page, "Purchase history");
    await expect
      .poll(async () => (await ledgerRows(history)).map((row) => [row[2], row[4]]), { timeout: 30_000 })
      .toEqual([
        ["Auto-recharge", "+$100.00"],
        ["Adjustment", "+$12.00"],
      ]);
    const entries = await account.entries();
    expect(entries.filter(({ type }) => type === "auto_recharge")).toHaveLength(1);
    await page.goto("/");
    await expect
      .poll(() => shown(page.getByTestId("balance-amount")))
      .toBe(dollars(sum(entries.map(({ amount }) => amount.amount))));
    expect(complaints).toEqual([]);
    await context.close();
  });
});
