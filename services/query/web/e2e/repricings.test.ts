import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { GROK, MODIFY, TestAccount, VIDEO, type Entry } from "./support/account";
import { seriousFindings } from "./support/axe";
import { DESK, launch, open } from "./support/browser";
import { env } from "./support/env";
import { read, send, until } from "./support/http";
import { dollars, micro, sum } from "./support/money";
import { panel, plain, shown } from "./support/read";
import { sideways } from "./support/width";

interface Book {
  version: number;
  currency: string;
  effective_from: string;
  prices: { service: string; engine: string; variant?: string | null; plans: Record<string, string> }[];
}

/** Nobody else pays in it: no other test is charged by these books. */
const CURRENCY = "NZD";
const money = (value: bigint, signed = false): string => dollars(value, signed).replace("$", "NZ$");

let browser: Browser;
let cheaper: Book;
beforeAll(async () => {
  browser = await launch();
  const { data } = await read<{ data: { version: number }[] }>("/v1/price-books");
  const latest = Math.max(...data.map(({ version }) => version));
  const usd = await read<Book>("/v1/price-books/current?currency=USD");
  const sold = { ...usd, version: latest + 1, currency: CURRENCY, effective_from: "2020-01-01T00:00:00Z" };
  // One that is not in force: a picture for 0.01, the other engine as before, and no videos at all.
  const prices = usd.prices
    .filter(({ service }) => service !== VIDEO.service)
    .map((price) =>
      price.service === MODIFY.service && price.engine === MODIFY.engine
        ? { ...price, plans: Object.fromEntries(Object.keys(price.plans).map((plan) => [plan, "0.01"])) }
        : price,
    );
  cheaper = { ...sold, version: latest + 2, effective_from: "2199-01-01T00:00:00Z", prices };
  await publish(sold);
  await publish(cheaper);
});
afterAll(() => browser.close());

async function publish(book: Book): Promise<void> {
  const version = String(book.version);
  const { status, body } = await send("PUT", `${env.ingestUrl}/v1/price-books/${version}`, env.adminKey, book);
  if (status !== 201) throw new Error(`price book ${version}: ${String(status)} ${JSON.stringify(body)}`);
  await until("the price book at query", async () => {
    const answer = await send("GET", `${env.queryUrl}/v1/price-books/${version}`, env.adminKey);
    return answer.status === 200 ? true : null;
  });
}

const balanceOf = async (account: TestAccount): Promise<bigint> =>
  micro((await read<{ balance: { amount: string } }>(`/v1/accounts/${account.id}/balance`)).balance.amount);

/** Five pictures, one of them given back in part, one by the other engine and a video. */
async function charged(): Promise<{ account: TestAccount; charges: Entry[] }> {
  const account = await TestAccount.open({ currency: CURRENCY, name: "Kiwi Booths" });
  await account.report([
    ...Array.from({ length: 5 }, () => ({ work: MODIFY })),
    { work: GROK, event: "evt_other" },
    { work: VIDEO },
  ]);
  const pictures = (await account.entries({ type: "consume" })).filter(
    ({ service, engine }) => service === MODIFY.service && engine === MODIFY.engine,
  );
  const [refunded, ...charges] = pictures;
  if (refunded === undefined) throw new Error("nothing was charged");
  await account.refund(refunded.entry_id);
  return { account, charges };
}

async function preview(page: Page, account: TestAccount): Promise<void> {
  const form = panel(page, "What to re-price");
  await form.getByLabel("Price book").selectOption(String(cheaper.version));
  await form.getByRole("radio", { name: "Selected accounts" }).check();
  await form.getByLabel("Account ID").fill(account.id);
  await form.getByRole("button", { name: "Add" }).click();
  await form.getByRole("button", { name: `Remove ${account.id}` }).waitFor();
  await form.getByRole("button", { name: "Preview" }).click();
  await page.waitForURL(/\/repricings\/rpr_/);
}

const rowsOf = async (page: Page, title: string): Promise<string[][]> => {
  const rows = await panel(page, title).locator("tbody tr").all();
  return Promise.all(rows.map(async (row) => (await row.locator("td").allTextContents()).map(plain)));
};

describe("A re-pricing", () => {
  it("is looked at, applied over an interruption, and taken back to nothing", async () => {
    const { account, charges } = await charged();
    const before = await balanceOf(account);
    const was = -sum(charges.map((entry) => entry.amount.amount));
    const wouldBe = 10_000n * BigInt(charges.length);
    const { page, context, complaints } = await open(browser, env.adminKey, "/repricings");

    // when it is looked at
    await page.getByRole("link", { name: "New re-pricing" }).click();
    await until("the charges of the period", async () => {
      await page.goto("/repricings/new");
      await preview(page, account);
      await panel(page, "By event and service").waitFor();
      return (await rowsOf(page, "Unchanged charges")).length === 3 ? true : null;
    });

    // then it says what changes, for whom and by what, what stays and why, and nothing is posted
    const take = panel(page, "Result");
    expect(await shown(take.locator(".repricing-take"))).toBe(
      `4 charges of 1 account would come to ${money(was - wouldBe)} less`,
    );
    const figures = (await take.locator("dd").allTextContents()).map(plain);
    expect(figures).toEqual(["1", "4", money(was), money(wouldBe), money(wouldBe - was, true)]);
    const [line] = await rowsOf(page, "By event and service");
    expect(line?.slice(0, 6)).toEqual([
      "evt_gala",
      "AI Modify (Nano Banana 2)",
      "4",
      money(was),
      money(wouldBe),
      money(wouldBe - was, true),
    ]);
    const stays = (await rowsOf(page, "Unchanged charges")).map(([reason, count]) => `${count ?? ""} ${reason ?? ""}`);
    expect(new Set(stays)).toEqual(new Set(["1 Refunded", "1 No price", "1 Same amount"]));
    expect(await balanceOf(account)).toBe(before);
    expect(await seriousFindings(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await sideways(page)).toEqual([]);
    await page.setViewportSize(DESK);

    // when it is applied two charges at a time, and the second request breaks
    const asked: { after?: string; reason?: string }[] = [];
    await page.route("**/v1/repricings/*/apply", async (route) => {
      const body = route.request().postDataJSON() as { after?: string; reason?: string };
      asked.push(body);
      if (asked.length === 2) {
        await route.fulfill({ status: 500, contentType: "application/problem+json", json: { title: "Broken" } });
      } else {
        await route.continue({ postData: { ...body, limit: 2 } });
      }
    });
    await page.getByRole("button", { name: "Apply\u2026" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Apply", exact: true }).click();
    await dialog.getByText("Say why").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByLabel("Reason").fill("May was sold by the prices of April");
    await page.keyboard.press("Enter");
    await page.getByText("It was not carried out to its end.").waitFor();

    // then it says so, also to whoever comes later, and goes on behind what was answered
    await page.reload();
    await page.getByText("Applying", { exact: true }).waitFor();
    await page.getByText("The preview\u2019s lines are no longer here").waitFor();
    await page.getByRole("button", { name: "Go on applying" }).click();
    await page.getByText("4 of 4 charges made anew").waitFor();
    await page.getByText("Applied", { exact: true }).waitFor();
    expect(asked.map(({ reason }) => reason)).toEqual([
      ...Array.from({ length: 2 }, () => "May was sold by the prices of April"),
      undefined,
    ]);
    expect(asked[0]?.after).toBeUndefined();
    expect(asked[1]?.after).toContain(`${account.id}/`);
    expect(asked[2]?.after).toBe(asked[1]?.after);
    const progress = panel(page, "Progress");
    await progress.getByText("May was sold by the prices of April").waitFor();
    await progress.getByText(money(was - wouldBe, true)).waitFor();
    await expect.poll(() => balanceOf(account)).toBe(before + was - wouldBe);
    expect(await seriousFindings(page)).toEqual([]);

    // when it is taken back
    await page.getByRole("button", { name: "Take back\u2026" }).click();
    await dialog.getByLabel("Reason").fill("April was right");
    await dialog.getByRole("button", { name: "Take back", exact: true }).click();

    // then everything is as before, and the list tells why
    await page.getByText("4 of 4 charges taken back").waitFor();
    await page.locator("h1").getByText("Taken back").waitFor();
    await expect.poll(() => balanceOf(account)).toBe(before);
    expect(await page.getByRole("button", { name: /Apply|Take back/ }).count()).toBe(0);
    await page.getByRole("link", { name: "All re-pricings" }).click();
    const row = panel(page, "All re-pricings").locator("tbody tr").filter({ hasText: "April was right" });
    await row.getByText("Taken back").waitFor();
    expect(await shown(row)).toContain(account.id);
    expect(complaints).toEqual([]);
    await context.close();
  }, 120_000);

  it("says at its field what is wrong with it, and what is not there", async () => {
    const { page, context, complaints } = await open(browser, env.adminKey, "/repricings/new");
    const form = panel(page, "What to re-price");
    // given nothing that can be asked for
    await form.getByRole("radio", { name: "Selected accounts" }).check();
    await form.getByLabel("First day").fill("2026-05-01");
    await form.getByLabel("Last day").fill("2026-12-01");
    await form.getByRole("button", { name: "Preview" }).click();
    // then each field says what it needs
    await page.getByText("A period has at most 92 days").waitFor();
    await page.getByText("Add an account, or choose all").waitFor();
    await form.getByLabel("Account ID").fill("kiwi");
    await form.getByRole("button", { name: "Add" }).click();
    await page.getByText("kiwi is not an account ID like acc_luna").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    // and an account that nobody opened is named
    await form.getByLabel("Account ID").fill("acc_nobody");
    await form.getByRole("button", { name: "Add" }).click();
    await form.getByLabel("Last day").fill("2026-05-31");
    await form.getByRole("button", { name: "Preview" }).click();
    await page.getByText("acc_nobody has no entry yet").waitFor();
    // One that was forgotten, or never was, is no page.
    await page.goto("/repricings/rpr_nobody");
    await page.getByText("Page not found").waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("is for administrators alone", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key, "/pricing");
    expect(await page.getByRole("link", { name: "Re-pricings" }).count()).toBe(0);
    for (const path of ["/repricings", "/repricings/new", "/repricings/rpr_1"]) {
      await page.goto(path);
      await page.getByText("Re-pricings are for administrators").waitFor();
    }
    await context.close();
  });
});
