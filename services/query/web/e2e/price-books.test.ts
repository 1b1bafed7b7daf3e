import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount, VIDEO } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open } from "./support/browser";
import { env } from "./support/env";
import { read } from "./support/http";
import { dollars, micro, sum } from "./support/money";
import { panel, plain, shown } from "./support/read";

interface Price {
  service: string;
  engine: string;
  variant?: string | null;
  plans: Record<string, string>;
}
interface Book {
  version: number;
  currency: string;
  effective_from: string;
  prices: Price[];
}

let browser: Browser;
let book: Book;
beforeAll(async () => {
  browser = await launch();
  book = await read<Book>("/v1/price-books/current?currency=USD");
});
afterAll(() => browser.close());

const priceOf = (of: Book, { service, engine }: { service: string; engine: string }): Price => {
  const found = of.prices.find((price) => price.service === service && price.engine === engine && !price.variant);
  if (found === undefined) throw new Error(`no price of ${service} ${engine}`);
  return found;
};
const editor = (page: Page) => page.getByLabel("Price book document, JSON");

/** The document of the editor, changed. */
async function change(page: Page, edit: (draft: Book) => void): Promise<Book> {
  const draft = JSON.parse(await editor(page).inputValue()) as Book;
  edit(draft);
  await editor(page).fill(JSON.stringify(draft, null, 2));
  return draft;
}

async function publish(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Publish\u2026" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Publish", exact: true }).click();
}

describe("Price books", () => {
  it("are listed for administrators, and price a piece of work", async () => {
    const { page, context, complaints } = await open(browser, env.adminKey, "/price-books");
    await page.getByRole("link", { name: `Price book ${String(book.version)}`, exact: true }).click();
    await page.getByRole("heading", { name: `Price book ${String(book.version)}` }).waitFor();
    await page.getByText("In force", { exact: true }).first().waitFor();
    const simulate = panel(page, "Simulate");
    await simulate.getByLabel("Work", { exact: true }).selectOption({ label: "AI Modify \u00b7 Nano Banana 2 \u00b7 image" });
    await simulate.getByLabel("Plan").selectOption("basic");
    await simulate.getByLabel("Quantity").fill("3");
    await simulate.getByRole("button", { name: "Simulate" }).click();
    const charge = micro(priceOf(book, MODIFY).plans.basic ?? "0") * 3n;
    await simulate.getByText("This is the book in force.").waitFor();
    expect(await shown(simulate.locator("tbody td.num"))).toBe(dollars(charge));
    const price = dollars(micro(priceOf(book, MODIFY).plans.basic ?? "0"));
    expect(await shown(simulate.locator("tbody td.muted"))).toBe(`3 images \u00d7 ${price}`);
    await simulate.getByLabel("Quantity").fill("0");
    await simulate.getByRole("button", { name: "Simulate" }).click();
    await simulate.getByText("Enter a quantity like 5 or 2.5").waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("are compared before they are published: a draft against what an account was charged", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: MODIFY }, { work: MODIFY }, { work: VIDEO }, { work: VIDEO, failed: true }]);
    const charges = (await account.entries()).filter((entry) => entry.type === "consume" && entry.status === "success");
    const { page, context, complaints } = await open(
      browser,
      env.adminKey,
      `/price-books/${String(book.version)}/draft`,
    );
    // Given a draft in which one picture costs 1.00 more on every plan,
    const before = priceOf(book, MODIFY);
    await change(page, (draft) => {
      const price = priceOf(draft, MODIFY);
      for (const [plan, amount] of Object.entries(price.plans)) {
        price.plans[plan] = dollars(micro(amount) + 1_000_000n).replace("$", "");
      }
    });
    // then each plan's price is listed as changed,
    const changes = panel(page, "Changes").locator("tbody tr");
    await expect.poll(() => changes.count()).toBe(Object.keys(before.plans).length);
    // a picture costs that much more than by the book in force,
    const simulate = panel(page, "Simulate");
    await simulate.getByLabel("Work", { exact: true }).selectOption({ label: "AI Modify \u00b7 Nano Banana 2 \u00b7 image" });
    await simulate.getByLabel("Quantity").fill("2");
    await simulate.getByRole("button", { name: "Simulate" }).click();
    await expect.poll(() => shown(simulate.locator("tfoot td"))).toBe("+$2.00");
    // and the account's period comes to what was charged and 2.00.
    await simulate.getByRole("radio", { name: "A past period" }).check();
    await simulate.getByLabel("Account ID").fill(account.id);
    const charged = -sum(charges.map((entry) => entry.amount.amount));
    const total = async (): Promise<string[]> => {
      await simulate.getByRole("button", { name: "Simulate" }).click();
      const cells = await simulate.locator("tfoot td").allTextContents();
      return cells.map(plain);
    };
    await expect
      .poll(total, { timeout: 30_000 })
      .toEqual(["3", dollars(charged), dollars(charged + 2_000_000n), "+$2.00"]);
    expect(await shown(simulate.locator(".simulate-take"))).toContain("$2.00 more");
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("show each error at its line, and are published once there is none", async () => {
    const { page, context, complaints } = await open(
      browser,
      env.adminKey,
      `/price-books/${String(book.version)}/draft`,
    );
    // A currency that nobody has, and a time far away: no account and no other test is charged by it.
    const isolated = (draft: Book): void => {
      draft.currency = "XTS";
      draft.effective_from = "2199-01-01T00:00:00Z";
    };
    const wrong = await change(page, (draft) => {
      isolated(draft);
      priceOf(draft, MODIFY).plans = { ...priceOf(draft, MODIFY).plans, basic: "-0.2" };
      priceOf(draft, VIDEO).engine = "nobody";
    });
    await publish(page);
    const errors = page.locator(".document-error");
    await expect.poll(() => errors.count()).toBeGreaterThanOrEqual(2);
    const lines = (await editor(page).inputValue()).split("\n");
    const index = wrong.prices.indexOf(priceOf(wrong, MODIFY));
    const negative = errors.filter({ hasText: `/prices/${String(index)}/plans/basic` });
    const line = Number(/Line ([\d,]+)/.exec(await shown(negative))?.[1]?.replaceAll(",", ""));
    expect(lines[line - 1]).toContain('"basic": "-0.2"');
    await negative.click();
    const selected = await editor(page).evaluate((area: HTMLTextAreaElement) =>
      area.value.slice(area.selectionStart, area.selectionEnd),
    );
    expect(selected).toBe('"-0.2"');
    expect(await seriousFindings(page)).toEqual([]);

    // What is no JSON cannot be published at all.
    await editor(page).fill('{\n  "version": 1,\n  oops\n}');
    await errors.filter({ hasText: "This is not valid JSON" }).waitFor();
    expect(await shown(errors)).toContain("Line 3");
    expect(await page.getByRole("button", { name: "Publish\u2026" }).isDisabled()).toBe(true);

    await editor(page).fill(JSON.stringify(wrong, null, 2));
    const good = await change(page, (draft) => {
      draft.prices = book.prices;
    });
    await publish(page);
    await page.waitForURL(new RegExp(`/price-books/${String(good.version)}$`));
    await page.getByText("Scheduled", { exact: true }).waitFor();
    const published = await read<Book>(`/v1/price-books/${String(good.version)}`);
    expect(published).toMatchObject({ version: good.version, currency: "XTS", prices: book.prices });
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("are for administrators alone", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key, "/pricing");
    expect(await page.getByRole("link", { name: "Price books" }).count()).toBe(0);
    await page.goto("/price-books");
    await page.getByText("Price books are for administrators").waitFor();
    await context.close();
  });
});
