import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ALL_WORK, TestAccount, VIDEO } from "./support/account";
import { DESK, launch, NARROW, open, TABLET, visit, WIDE } from "./support/browser";
import { env } from "./support/env";
import { command, read, send } from "./support/http";
import { panel } from "./support/read";
import { previewed } from "./support/repricing";
import { beyondPanels, scrollingLists, sideways } from "./support/width";

const LONG = "The longest name that anybody ever gave to a wedding in the year 2026";
const PARTY = "evt_demo_001_r1a21be6832b_3";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open({ credit: "9876543.21", name: `${LONG} & Sons` });
  await account.event("evt_gala", { name: LONG, budget: { amount: "1234567.00", on_exceeded: "warn" } });
  // One over midnight and over its budget, of which every column is as wide as it gets.
  await account.event(PARTY, {
    name: "Spring Prom",
    starts_at: "2026-10-25T03:30:00Z",
    ends_at: "2026-10-25T10:45:00Z",
    time_zone: "America/New_York",
    budget: { amount: "1.00", on_exceeded: "warn" },
  });
  const rules = { balance_below: ["500.00", "9999999.99"], event_budget_percent: [50, 80], recharge_failed: true };
  await command("PUT", `/v1/accounts/${account.id}/alerts`, rules, `alerts-${account.id}`);
  await send("POST", `${env.ingestUrl}/v1/accounts/${account.id}/webhooks`, account.key, {
    url: "https://hooks.example.com/a/path/that/is/longer/than/a/phone/is/wide/and/does/not/end",
    event_types: [],
  });
  const booth = "bth_with_a_name_that_is_as_long_as_they_may_be_2026";
  await account.report([
    ...ALL_WORK.map((work) => ({ work, booth })),
    { work: VIDEO, failed: true },
    ...Array.from({ length: 3 }, () => ({ work: VIDEO, event: PARTY })),
    { work: VIDEO, event: "evt_the_longest_id_that_anybody_gave_to_a_wedding_2026" },
  ]);
});
afterAll(() => browser.close());

const PAGES = [
  ["/?period=year", "Recent Activity"],
  ["/?period=dates&from=2025-12-03&to=2026-03-09", "Recent Activity"],
  ["/events", "wedding"],
  ["/events/evt_gala/analytics", "Event Activities"],
  ["/activity?service=ai_modify,ai_image_to_video&status=success&from=2026-01-01&to=2027-01-01&q=gala", "Transaction"],
  ["/pricing", "Full Plan Breakdown"],
  ["/billing", "Purchase history"],
  ["/settings", "hooks.example.com"],
  ["/nowhere", "Page not found"],
] as const;

async function look(page: Page, pages: readonly (readonly [string, string])[]): Promise<string[]> {
  const findings: string[] = [];
  for (const [path, words] of pages) {
    await page.goto(path);
    await page.getByText(words).first().waitFor({ state: "attached" });
    await expect.poll(() => page.locator("[aria-busy='true']").count(), { message: path }).toBe(0);
    const isPhone = (page.viewportSize()?.width ?? 0) === NARROW.width;
    const found = [await sideways(page), await beyondPanels(page), isPhone ? await scrollingLists(page) : []].flat();
    findings.push(...found.map((finding) => `${path}: ${finding}`));
  }
  return findings;
}

describe.each([
  ["360 px", NARROW, true],
  ["768 px", TABLET, true],
  // Where the menu has just unfolded, and least is left beside it.
  ["1030 px", { width: 1030, height: 800 }, false],
  ["1280 px", DESK, false],
  ["2560 px", WIDE, false],
] as const)("At %s no page scrolls sideways", (_name, size, touch) => {
  it("of an account, with long names and large amounts", async () => {
    const { page, context, complaints } = await open(browser, account.key, "/", { size, touch });
    expect(await look(page, PAGES)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("for an administrator", async () => {
    const { version } = await read<{ version: number }>("/v1/price-books/current?currency=USD");
    const repricing = await previewed(account, version);
    const { page, context } = await open(browser, env.adminKey, "/", { size, touch });
    const pages = [
      ["/fleet", "Top spenders"],
      ["/price-books", "All price books"],
      [`/price-books/${String(version)}`, "Simulate"],
      [`/price-books/${String(version)}/draft`, "Document"],
      ["/repricings", "All re-pricings"],
      [`/repricings/new?of=${account.id}`, account.id],
      [`/repricings/${repricing}`, "Result"],
      [`/events/evt_gala/analytics?account=${account.id}`, "Margin"],
      [`/settings?account=${account.id}`, "bth_with"],
    ] as const;
    expect(await look(page, pages)).toEqual([]);
    await context.close();
  });

  it("of those that need no session", async () => {
    const { page, context } = await visit(browser, { size, touch });
    expect(
      await look(page, [
        ["/sign-in", "API key"],
        ["/pricing", "Full Plan Breakdown"],
      ]),
    ).toEqual([]);
    await context.close();
  });
});

describe("At 360 px", () => {
  it("drawers and dialogs fit as well", async () => {
    const { page, context } = await open(browser, account.key, "/", { size: NARROW, touch: true });
    const dialog = page.getByRole("dialog");
    await panel(page, "Recent Activity").locator("tr[data-seq]").first().tap();
    await dialog.getByText("Operation").first().waitFor();
    expect(await sideways(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Close" }).tap();
    await page.getByLabel("Amount *").fill("9999.99");
    await page.getByRole("button", { name: "Buy credits" }).tap();
    await dialog.getByRole("button", { name: /^Buy \$/ }).waitFor();
    expect(await sideways(page)).toEqual([]);
    await page.goto("/billing");
    await panel(page, "Alerts").getByRole("button", { name: /Edit|Set/ }).first().tap();
    await dialog.waitFor();
    expect(await sideways(page)).toEqual([]);
    await context.close();
  });
});
