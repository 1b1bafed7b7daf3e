import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ALL_WORK, TestAccount, VIDEO } from "./support/account";
import { seriousFindings } from "./support/axe";
import { DESK, launch, open, PHONE, visit } from "./support/browser";
import { env } from "./support/env";
import { command, read } from "./support/http";
import { previewed } from "./support/repricing";
import { sideways } from "./support/width";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open({ credit: "400.00" });
  await account.event("evt_gala", { name: "Gala Night", budget: { amount: "20.00", on_exceeded: "warn" } });
  const rules = { balance_below: ["500.00"], event_budget_percent: [80], recharge_failed: true, empty_in_hours: 48, booth_spike: { times: 5, at_least: "20.00" } };
  await command("PUT", `/v1/accounts/${account.id}/alerts`, rules, `alerts-${account.id}`);
  await account.report([...ALL_WORK.map((work) => ({ work })), { work: VIDEO, failed: true }]);
});
afterAll(() => browser.close());

const PAGES = [
  ["/", "Recent Activity"],
  ["/events", "Gala Night"],
  ["/events/evt_gala/analytics", "Event Activities"],
  ["/activity", "Kling"],
  ["/pricing", "Full Plan Breakdown"],
  ["/billing", "Billing"],
  ["/settings", "Settings"],
] as const;

/** What is wrong with pages, each found by words that it has once it is drawn. */
async function look(page: Page, pages: readonly (readonly [string, string])[]): Promise<string[]> {
  const findings: string[] = [];
  for (const [path, words] of pages) {
    await page.goto(path);
    await page.getByText(words).first().waitFor({ state: "attached" });
    await expect.poll(() => page.locator("[aria-busy='true']").count(), { message: path }).toBe(0);
    findings.push(...(await seriousFindings(page)).map((finding) => `${path} ${finding}`));
    findings.push(...(await sideways(page)).map((finding) => `${path} ${finding}`));
  }
  return findings;
}

describe.each(["light", "dark"] as const)("In the %s theme", (theme) => {
  it.each([
    ["on a desk", DESK, false],
    ["on a phone", PHONE, true],
  ] as const)("%s no page has a serious finding, and none is wider than the screen", async (_name, size, touch) => {
    const { page, context, complaints } = await open(browser, account.key, "/", { theme, size, touch });
    expect(await look(page, PAGES)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe.each(["light", "dark"] as const)("For an administrator, in the %s theme", (theme) => {
  it.each([
    ["on a desk", DESK, false],
    ["on a phone", PHONE, true],
  ] as const)("%s no page has a serious finding, and none is wider than the screen", async (_name, size, touch) => {
    const { version } = await read<{ version: number }>("/v1/price-books/current?currency=USD");
    const repricing = await previewed(account, version);
    const { page, context, complaints } = await open(browser, env.adminKey, "/", { theme, size, touch });
    const pages = [
      ["/fleet", "Dead letters"],
      ["/price-books", "All price books"],
      [`/price-books/${String(version)}`, "Simulate"],
      [`/price-books/${String(version)}/draft`, "Document"],
      ["/repricings", "All re-pricings"],
      [`/repricings/new?of=${account.id}`, account.id],
      [`/repricings/${repricing}`, "Result"],
    ] as const;
    expect(await look(page, pages)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("Without a session", () => {
  it("the sign-in page has no serious finding", async () => {
    const { page, context } = await visit(browser);
    await page.goto("/sign-in");
    await page.getByLabel("API key").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await context.close();
  });
});

describe("Long names", () => {
  it.each([700, 1024, 1280, 1920])("fit the Activity page at %i px, the filters too", async (width) => {
    const wide = await TestAccount.open();
    await wide.report([{ work: VIDEO, event: "evt_the_longest_name_that_anybody_gave_to_a_wedding_2026" }]);
    const { page, context } = await open(browser, wide.key, "/activity", { size: { width, height: 900 } });
    await page.locator("tr[data-seq]").first().waitFor();
    const over = await page.evaluate(() => {
      const panel = document.querySelector(".panel");
      const edge = panel?.getBoundingClientRect().right ?? 0;
      const inside = [...(panel?.querySelectorAll(".filters > *, td, th") ?? [])];
      return [
        document.documentElement.scrollWidth > innerWidth ? "the page" : "",
        ...inside.map((one) => (one.getBoundingClientRect().right > edge + 1 ? one.className || one.tagName : "")),
      ].filter(Boolean);
    });
    expect(over).toEqual([]);
    await context.close();
  });
});

describe("By keys alone", () => {
  it.each([
    ["on a desk", DESK],
    ["on a tablet", { width: 768, height: 700 }],
    ["where the page is enlarged four times", { width: 320, height: 400 }],
  ])("%s a row that has the focus is never under what sticks at the top", async (_name, size) => {
    const many = await TestAccount.open();
    await many.report(Array.from({ length: 40 }, () => ({ work: VIDEO })));
    const { page, context } = await open(browser, many.key, "/activity", { size });
    await page.locator("tr[data-seq]").first().waitFor();
    const covered = (): Promise<string[]> =>
      page.evaluate(() => {
        const row = document.activeElement;
        if (!row?.matches("tr[data-seq]")) return ["no row has the focus"];
        const box = row.getBoundingClientRect();
        const corners = [box.top + 2, box.bottom - 2].map((y) => document.elementFromPoint(box.left + 24, y));
        return corners.filter((at) => !row.contains(at)).map((at) => `under ${at?.className ?? "nothing"}`);
      });
    for (const key of ["j", ...Array<string>(30).fill("j"), ...Array<string>(26).fill("k"), "End", "Home"]) {
      await page.keyboard.press(key);
      await expect.poll(covered, { message: key }).toEqual([]);
    }
    await context.close();
  });

  it("one can filter, look into the chart and buy", async () => {
    const { page, context } = await open(browser, account.key);
    const focusBy = async (key: string, wanted: () => Promise<boolean>): Promise<void> => {
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press(key);
        if (await wanted()) return;
      }
      throw new Error("the tab order never came there");
    };
    const on = (selector: string) => () =>
      page.evaluate((wanted) => document.activeElement?.matches(wanted) === true, selector);

    await focusBy("Tab", on(".buy input"));
    await page.keyboard.type("50");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await focusBy("Tab", () => page.evaluate(() => /^Buy \$/.test(document.activeElement?.textContent ?? "")));
    await page.keyboard.press("Enter");
    await page.getByText("$50.00 added").waitFor();
    await page.keyboard.press("Escape");

    await focusBy("Tab", on('.tl-focus[role="application"]'));
    await page.keyboard.press("ArrowLeft");
    await page.getByTestId("chart-box").waitFor();

    await page.goto("/activity");
    await page.locator("tr[data-seq]").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("kling");
    // One that was charged and one that failed.
    await expect.poll(() => page.locator("tr[data-seq]").count()).toBe(2);
    await context.close();
  });
});
