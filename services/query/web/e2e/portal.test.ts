import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { GROK, MODIFY, TestAccount, VIDEO } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open, visit } from "./support/browser";
import { env } from "./support/env";
import { read, send, until } from "./support/http";
import { dollars, micro, sum } from "./support/money";
import { panel, shown } from "./support/read";
import { sideways } from "./support/width";

let browser: Browser;
let account: TestAccount;
beforeAll(async () => {
  browser = await launch();
  account = await TestAccount.open({ credit: "80.00" });
  await account.event("evt_gala", { name: "Gala Night" });
  await account.report([{ work: MODIFY }, { work: VIDEO }, { work: GROK, event: "evt_other" }]);
});
afterAll(() => browser.close());

async function tokenFor(parts: { event_id?: string; ttl_s?: number } = {}): Promise<string> {
  const body = { ttl_s: 600, ...parts };
  const answer = await send("POST", `${env.queryUrl}/v1/portal-tokens`, account.key, body);
  if (answer.status !== 201) throw new Error(`no portal token: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
  return (answer.body as { token: string }).token;
}

const address = (widget: string, token: string, more = ""): string =>
  `/embed/${widget}?account=${account.id}${more}#token=${token}`;

/** What the ring says in its middle. */
const total = (page: Page) => page.getByTestId("donut-total");

async function spent(eventId?: string): Promise<bigint> {
  const charges = await account.entries({ type: "consume" });
  return -sum(charges.filter((entry) => eventId === undefined || entry.event_id === eventId).map((entry) => entry.amount.amount));
}

describe("A link to an account", () => {
  it("opens each widget with the account's own figures, and keeps its token out of the address", async () => {
    const token = await tokenFor();
    const { page, context, complaints } = await visit(browser);
    await page.goto(address("balance", token));
    const { balance } = await read<{ balance: { amount: string } }>(`/v1/accounts/${account.id}/balance`);
    await expect.poll(() => shown(page.locator(".embed-amount"))).toBe(dollars(micro(balance.amount)));
    expect(page.url()).not.toContain("token");
    await page.goto(address("activity", token));
    await expect.poll(() => page.locator("tr[data-seq]").count()).toBeGreaterThanOrEqual(3);
    await page.goto(address("timeline", token));
    await page.locator(".tl-focus").first().waitFor();
    await page.goto(address("donut", token));
    await expect.poll(() => shown(total(page))).toContain(dollars(await spent()));
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("brings balance, rows and sums by a stream, as they happen", async () => {
    // given three widgets that are open, of which two can ask for nothing more: the stream is what tells
    const live = await TestAccount.open({ credit: "40.00" });
    await live.report([{ work: MODIFY }]);
    const answer = await send("POST", `${env.queryUrl}/v1/portal-tokens`, live.key, { ttl_s: 600 });
    const token = (answer.body as { token: string }).token;
    const { page, context, complaints } = await visit(browser);
    const widgets = await Promise.all(
      ["balance", "activity", "donut"].map(async (widget) => {
        const tab = widget === "balance" ? page : await context.newPage();
        const streamed = tab.waitForResponse((response) => response.url().includes("/stream") && response.ok());
        await tab.goto(`/embed/${widget}?account=${live.id}#token=${token}`);
        await streamed;
        return tab;
      }),
    );
    const [balance, activity, donut] = widgets;
    if (!balance || !activity || !donut) throw new Error("a widget is missing");
    await expect.poll(() => activity.locator("tr[data-seq]").count()).toBe(2);
    await total(donut).waitFor();
    await balance.route("**/v1/accounts/*/balance*", (route) => route.abort());
    await activity.route("**/v1/accounts/*/transactions*", (route) => route.abort());
    // when work is done
    await live.report([{ work: VIDEO }, { work: GROK }]);
    const entries = await live.entries();
    const spentNow = -sum(entries.filter(({ type }) => type === "consume").map(({ amount }) => amount.amount));
    // then each shows it
    await expect.poll(() => shown(balance.locator(".embed-amount"))).toBe(dollars(sum(entries.map(({ amount }) => amount.amount))));
    await expect.poll(() => activity.locator("tr[data-seq]").count()).toBe(4);
    await expect.poll(() => shown(total(donut))).toContain(dollars(spentNow));
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("is over when it ends, also on a page that is open, and goes on with a new token", async () => {
    // given a page whose token is good for no longer than a slow machine needs to draw it
    const token = await tokenFor({ ttl_s: 15 });
    const { page, context } = await visit(browser);
    await page.goto(address("balance", token));
    await page.locator(".embed-amount").waitFor();
    // when it ends, then the figures are gone and the page says why
    await page.getByText("This link has expired").waitFor({ timeout: 45_000 });
    expect(await page.locator(".embed-amount").count()).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
    // and the site that shows it gives it a new one, without loading anything anew
    await page.evaluate((fresh) => {
      location.hash = `#token=${fresh}`;
    }, await tokenFor());
    await page.locator(".embed-amount").waitFor();
    expect(page.url()).not.toContain("token");
    await context.close();
  }, 120_000);

  it("says what is wrong with it where it never was good", async () => {
    const { page, context } = await visit(browser, { size: { width: 360, height: 640 } });
    await page.goto(address("balance", "tbp1.this-is-no-token"));
    await page.getByText("This link is not valid").waitFor();
    expect(await sideways(page)).toEqual([]);
    const other = await TestAccount.open();
    await page.goto(`/embed/balance?account=${other.id}#token=${await tokenFor()}`);
    await page.getByText("There is nothing to show").waitFor();
    await page.goto(`/embed/balance?account=${account.id}`);
    await page.getByText("This widget cannot be shown").waitFor();
    await context.close();
  });
});

describe("A link to an event", () => {
  it("opens what the event used, and nothing of the account", async () => {
    const token = await tokenFor({ event_id: "evt_gala" });
    const { page, context, complaints } = await visit(browser);
    await page.goto(address("donut", token, "&event=evt_gala"));
    await page.getByRole("heading", { name: "Gala Night" }).waitFor();
    await expect.poll(async () => shown(total(page))).toContain(dollars(await spent("evt_gala")));
    expect(await seriousFindings(page)).toEqual([]);
    for (const widget of ["balance", "activity"]) {
      await page.goto(address(widget, token, "&event=evt_gala"));
      await page.getByText("This link shows one event").waitFor();
    }
    await page.goto(address("donut", token, "&event=evt_other"));
    await page.getByText("There is nothing to show").waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("Settings", () => {
  it("make a link to an event, that opens without a session", async () => {
    const { page, context, complaints } = await open(browser, account.key, "/settings");
    await panel(page, "Portal links").getByRole("button", { name: "New link" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Create link" }).click();
    await dialog.getByText("Enter an event ID like evt_gala").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByLabel("Event ID").fill("evt_gala");
    await dialog.getByLabel("Valid for").selectOption("3600");
    await page.keyboard.press("Tab");
    await dialog.getByRole("button", { name: "Create link" }).click();
    const [link, frame] = await until("the link", async () => {
      const found = await dialog.getByTestId("secret").allTextContents();
      return found.length === 2 ? found : null;
    });
    expect(frame).toContain("<iframe src=");
    expect(await seriousFindings(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await sideways(page)).toEqual([]);

    const visitor = await visit(browser);
    await visitor.page.goto(link ?? "");
    await visitor.page.getByRole("heading", { name: "Gala Night" }).waitFor();
    expect([...complaints, ...visitor.complaints]).toEqual([]);
    await visitor.context.close();
    await context.close();
  });
});
