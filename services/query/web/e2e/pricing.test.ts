import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { launch, open, visit } from "./support/browser";
import { read } from "./support/http";
import { dollars, micro } from "./support/money";
import { plain, shown } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

interface Book {
  prices: {
    service: string;
    engine: string;
    variant?: string | null;
    plans: Record<string, string>;
    effective_to?: string | null;
  }[];
}

describe("Pricing", () => {
  it("S15: is public and has every price of the book for every plan", async () => {
    const { page, context, complaints } = await visit(browser);
    await page.goto("/pricing");
    await page.getByRole("heading", { name: "Full Plan Breakdown" }).waitFor();
    // The heading is there before the prices.
    await expect.poll(() => shown(page.locator("main"))).toContain("AI Modify");
    const text = await shown(page.locator("main"));
    const book = await read<Book>("/v1/price-books/current?currency=USD");
    const now = new Date().toISOString();
    for (const price of book.prices.filter(({ effective_to }) => !effective_to || effective_to > now)) {
      for (const amount of Object.values(price.plans)) expect(text).toContain(dollars(micro(amount)));
    }
    for (const name of ["AI Modify", "AI Image To Video", "AI Combine", "AI Draw Me", "Editorial AI", "SMS", "Standard AI"]) {
      expect(text).toContain(name);
    }
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("S15: works signed in, and marks the own plan", async () => {
    const account = await TestAccount.open({ plan: "pro" });
    const { page, context } = await open(browser, account.key, "/pricing");
    const mark = page.getByText("Your plan", { exact: true }).first();
    await mark.waitFor();
    const card = mark.locator("xpath=ancestor::*[self::li or self::article or self::section][1]");
    expect(plain(await card.textContent())).toContain("Pro");
    await context.close();
  });
});
