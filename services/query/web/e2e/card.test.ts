import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open } from "./support/browser";
import { panel } from "./support/read";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open();
});
afterAll(() => browser.close());

const NOT_FOUND = { type: "about:blank", title: "Not found", status: 404, code: "not_found", detail: "nothing is saved" };
const SAVED = {
  account_id: "acc",
  provider: "stripe",
  sandbox: false,
  live: true,
  customer_id: "cus_1",
  payment_method_id: "pm_1",
  set_at: "2026-11-03T17:00:00Z",
};

/** The stack pays with its sandbox: what a service with a provider answers is put in its place. */
async function provider(page: Page): Promise<{ saved: boolean; setUps: number }> {
  const state = { saved: false, setUps: 0 };
  await page.route("**/v1/accounts/*/payment-method", async (route) => {
    if (route.request().method() === "DELETE") {
      state.saved = false;
      await route.fulfill({ status: 204 });
    } else if (state.saved) await route.fulfill({ json: SAVED });
    else await route.fulfill({ status: 404, contentType: "application/problem+json", json: NOT_FOUND });
  });
  await page.route("**/v1/accounts/*/payment-method/setup", async (route) => {
    state.setUps += 1;
    await route.fulfill({ json: { provider: "stripe", url: "https://checkout.stripe.example/c/pay_1" } });
  });
  await page.route("https://checkout.stripe.example/**", async (route) => {
    state.saved = true;
    await route.fulfill({ contentType: "text/html", body: "<h1>Save your card</h1>" });
  });
  return state;
}

describe("The payment method", () => {
  it("is the sandbox's where no provider is connected, and says so", async () => {
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    await panel(page, "Payment method").getByText("no money moves").waitFor();
    expect(await panel(page, "Payment method").getByRole("button").count()).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("is saved on the provider's own page, and can be forgotten", async () => {
    const { page, context, complaints } = await open(browser, account.key);
    const state = await provider(page);

    // given no card, when buying, then the dialog leads to where one is saved instead of failing
    await page.getByLabel("Amount *").fill("60");
    await page.getByRole("button", { name: "Buy credits" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("No card is saved for this account yet.").waitFor();
    expect(await dialog.getByRole("button", { name: "Buy $60.00" }).isDisabled()).toBe(true);
    expect(await dialog.getByRole("combobox").count()).toBe(0);
    await dialog.getByRole("link", { name: "Save a card" }).click();
    await page.waitForURL(/\/billing$/);

    // when it is saved there
    const card = panel(page, "Payment method");
    await card.getByText("No card", { exact: true }).waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await card.getByRole("button", { name: "Save a card" }).click();
    await page.getByText("Save your card").waitFor();
    expect(state.setUps).toBe(1);

    // then it pays, and no test card is offered
    await page.goto("/billing");
    await card.getByText("A card is saved with Stripe since Nov 3, 2026").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await page.getByLabel("Amount *").fill("60");
    await page.getByRole("button", { name: "Buy credits" }).click();
    await dialog.getByText("Saved card").waitFor();
    expect(await dialog.getByRole("button", { name: "Buy $60.00" }).isEnabled()).toBe(true);
    expect(await dialog.getByRole("combobox").count()).toBe(0);
    await page.keyboard.press("Escape");

    // and once it is forgotten there is none
    await card.getByRole("button", { name: "Remove card" }).click();
    await dialog.getByRole("button", { name: "Remove card" }).click();
    await card.getByText("No card", { exact: true }).waitFor();
    expect(await dialog.count()).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("does not hide that a purchase is too old to be finished", async () => {
    const { page, context } = await open(browser, account.key);
    await page.route("**/v1/accounts/*/purchases", (route) =>
      route.fulfill({
        status: 409,
        contentType: "application/problem+json",
        json: { type: "about:blank", title: "The purchase is too old", status: 409, code: "purchase_too_old" },
      }),
    );
    await page.getByLabel("Amount *").fill("60");
    await page.getByRole("button", { name: "Buy credits" }).click();
    await page.getByRole("dialog").getByRole("button", { name: /^Buy \$/ }).click();
    await page.getByText("begun more than 80 days ago").waitFor();
    await page.getByText("See in the purchase history").waitFor();
    expect(await page.getByText("Nothing was charged.", { exact: true }).count()).toBe(0);
    await context.close();
  });
});
