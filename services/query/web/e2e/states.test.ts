import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount, VIDEO, type Report } from "./support/account";
import { launch, open } from "./support/browser";
import { dollars, micro, sum } from "./support/money";
import { choose, ledgerRows, panel, plain, shown, tableRows } from "./support/read";
import { ago, hours, minutes } from "./support/time";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("A page says how things are", () => {
  it("a panel that fails says so with its request's id, the others stay, and Retry brings it back", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    let fails = true;
    await page.route("**/summary?*", (route) =>
      fails
        ? route.fulfill({
            status: 500,
            contentType: "application/problem+json",
            headers: { "X-Request-Id": "req_0815" },
            json: { type: "about:blank", title: "Something broke", status: 500, code: "internal" },
          })
        : route.continue(),
    );
    await page.goto("/");
    const figures = page.getByLabel("Figures");
    await figures.getByText("Something broke").waitFor({ timeout: 30_000 });
    await figures.getByText("req_0815").waitFor();
    await panel(page, "Recent Activity").locator("tr[data-seq]").first().waitFor();
    fails = false;
    await figures.getByRole("button", { name: "Retry" }).click();
    await figures.getByText("Total credits used").waitFor();
    await context.close();
  });

  it("live updates that are away are told, and the ledger stays usable", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await page.route("**/stream*", (route) => route.abort());
    await page.reload();
    await page.getByText("Live updates paused").waitFor();
    await panel(page, "Recent Activity").locator("tr[data-seq]").first().click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.unroute("**/stream*");
    await page.getByText("Live updates paused").waitFor({ state: "detached", timeout: 60_000 });
    await context.close();
  });

  it("live updates that are behind are told, with the time that they are of, until they are not any more", async () => {
    const account = await TestAccount.open();
    const { page, context, complaints } = await open(browser, account.key);
    // given the real stream, into which a word comes that only a broker that is away brings
    await page.addInitScript(() => {
      const real = window.fetch;
      window.fetch = async (input, init) => {
        const response = await real(input, init);
        const source = response.body;
        if (source === null || !response.url.includes("/stream")) return response;
        const body = new ReadableStream<Uint8Array>({
          start: async (controller) => {
            const say = (since: string | null): void => {
              controller.enqueue(new TextEncoder().encode(`event: stale\ndata: ${JSON.stringify({ since })}\n\n`));
            };
            Object.assign(window, { say });
            const reader = source.getReader();
            for (let piece = await reader.read(); !piece.done; piece = await reader.read()) controller.enqueue(piece.value);
            controller.close();
          },
        });
        return new Response(body, { status: response.status, headers: response.headers });
      };
    });
    await page.reload();
    const live = panel(page, "Recent Activity").getByText("Live", { exact: true });
    await live.waitFor();
    const say = (since: string | null): Promise<void> =>
      page.evaluate((word) => (window as unknown as { say: (since: string | null) => void }).say(word), since);

    // when
    await say("2026-11-02T17:04:05.000Z");

    // then the page says so, and what is shown stays usable
    const told = page.getByText(/^Updates are delayed – this is as of .*:04/);
    await told.waitFor();
    await live.waitFor({ state: "detached" });
    await panel(page, "Recent Activity").locator("tr[data-seq]").first().waitFor();

    // and takes it back when all is told again
    await say(null);
    await told.waitFor({ state: "detached" });
    await live.waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("a phone without a network is told so by its own account, and shows what came meanwhile when it is back", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    const live = panel(page, "Recent Activity").getByText("Live", { exact: true });
    await live.waitFor();
    await context.setOffline(true);
    await page.getByText("Live updates paused").waitFor();
    await live.waitFor({ state: "detached" });
    await account.report([{ work: MODIFY }]);
    await context.setOffline(false);
    await page.getByText("Live updates paused").waitFor({ state: "detached" });
    await expect.poll(() => panel(page, "Recent Activity").locator("tr[data-seq]").count()).toBe(2);
    await context.close();
  });

  it.each([
    ["/?period=year", "Recent Activity"],
    ["/events/evt_gala/analytics", "Event Activities"],
    ["/activity", "Download CSV"],
    ["/billing", "Purchase history"],
  ])("%s keeps its place while its figures are on their way", async (path, words) => {
    const account = await TestAccount.open();
    await account.event("evt_gala", { name: "Gala", budget: { amount: "60.00", on_exceeded: "warn" } });
    await account.report(Array.from({ length: 30 }, () => ({ work: MODIFY })));
    // A window as high as the page: what moves far down counts as well.
    const { page, context } = await open(browser, account.key, "/", { size: { width: 1280, height: 1_600 } });
    await page.addInitScript(() => {
      const shifts: [number, string][] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { value: number; sources: { node: Element }[] })[]) {
          shifts.push([entry.value, entry.sources.map(({ node }) => node.className || node.nodeName).join(", ")]);
        }
      }).observe({ type: "layout-shift", buffered: true });
    });
    // One answer after the other, none before a skeleton was seen, and each late enough for its own to be seen.
    let late = 0;
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((done) => (begin = done));
    await page.route("**/v1/accounts/**", async (route) => {
      if (route.request().url().includes("/stream")) return route.continue();
      late += 1;
      const after = 400 + 60 * (late % 8);
      await begun;
      await new Promise((go) => setTimeout(go, after));
      return route.continue();
    });
    await page.goto(path);
    await page.locator("[aria-busy='true']").first().waitFor();
    begin();
    await page.getByText(words).first().waitFor();
    await expect.poll(() => page.locator("[aria-busy='true']").count()).toBe(0);
    const shifts = await page.evaluate(() => (window as unknown as { shifts: [number, string][] }).shifts);
    const moved = shifts.reduce((total, [value]) => total + value, 0);
    // Half of what web.dev calls good.
    expect(moved, JSON.stringify(shifts)).toBeLessThan(0.05);
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await context.close();
  });

  it("what was asked for before stays, dimmed, until the new is there", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: VIDEO }, { work: MODIFY }]);
    const { page, context } = await open(browser, account.key, "/?period=year");
    const timeline = panel(page, "Activity Timeline");
    await timeline.getByText("2 activities, most in").waitFor();
    let answer: () => void = () => undefined;
    const held = new Promise<void>((done) => (answer = done));
    await page.route("**/usage?*", async (route) => {
      await held;
      await route.continue();
    });
    await choose(timeline, "This Month");
    await timeline.locator("[aria-busy='true']").waitFor();
    expect(await timeline.getByText("2 activities, most in").count()).toBe(1);
    expect(await timeline.locator(".skeleton").count()).toBe(0);
    answer();
    await timeline.getByText("2 activities, most on").waitFor();
    expect(await timeline.locator("[aria-busy='true']").count()).toBe(0);
    await context.close();
  });

  it("a low balance and an empty one are words with a sign, not colours alone", async () => {
    const account = await TestAccount.open({ credit: "1.50" });
    const { page, context } = await open(browser, account.key);
    const balance = page.getByTestId("balance");
    await balance.getByText("Low balance").waitFor();
    expect(await balance.locator(".badge svg").count()).toBe(1);
    await account.report([{ work: VIDEO }, { work: VIDEO }]);
    await balance.getByText("No credits left").waitFor();
    await context.close();
  });

  it("what arrived late is counted and marked, at the time of the work", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: MODIFY, at: ago(hours(26)) }, { work: MODIFY, at: ago(hours(3)) }, { work: VIDEO }]);
    const { page, context } = await open(browser, account.key, "/activity");
    await page.getByText("2 arrived late").waitFor();
    await expect.poll(() => page.locator("tr[data-seq]").getByText("Late", { exact: true }).count()).toBe(2);
    await context.close();
  });

  it("a filter without results names itself and is taken away by one button", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: MODIFY }]);
    const { page, context } = await open(browser, account.key, "/activity?from=2026-01-03&to=2026-01-09&status=failed");
    await page.getByText("No activity from January 3 to January 9, 2026 with status Failed").or(
      page.getByText("No activity from Jan 3 to Jan 9, 2026 with status Failed"),
    ).waitFor();
    await page.getByRole("button", { name: "Clear filters" }).first().click();
    await expect.poll(async () => (await ledgerRows(page.locator("main"))).length).toBe(2);
    expect(new URL(page.url()).search).toBe("");
    await context.close();
  });
});

describe("The dashboard's timeline", () => {
  it("shows money, running totals and the period before, from the same entries", async () => {
    // given work of this week, and of the week before
    const account = await TestAccount.open({ credit: "300.00", zone: "UTC" });
    const now = Date.now();
    const at = (days: number): Date => new Date(now - hours(24 * days) - minutes(5));
    await account.report([
      ...[1, 2, 2, 3].map((days): Report => ({ work: VIDEO, at: at(days) })),
      ...[8, 9].map((days): Report => ({ work: MODIFY, at: at(days) })),
    ]);
    const day = (days: number): string => at(days).toISOString().slice(0, 10);
    const charges = (await account.entries({ type: "consume" })).filter(({ occurred_at: time }) => time >= day(6));
    const spent = -sum(charges.map(({ amount }) => amount.amount));
    const { page, context, complaints } = await open(browser, account.key, `/?period=dates&from=${day(6)}&to=${day(0)}`);
    const timeline = panel(page, "Activity Timeline");

    // when dollars are asked for, then the total is the money of the entries
    await choose(timeline, "Dollars");
    await expect.poll(() => shown(page.getByTestId("timeline-total"))).toContain(dollars(spent));

    // and a running total ends with all of it
    await choose(timeline, "Running total");
    await timeline.getByRole("button", { name: "Show as table" }).click();
    await expect
      .poll(async () => {
        const rows = await tableRows(timeline);
        return [rows.length, ...(rows.at(-1) ?? []).slice(1, 3).map(plain)];
      })
      .toEqual([7, "4", dollars(spent)]);

    // and the period before stands beside it
    await timeline.getByRole("checkbox").check();
    await expect.poll(async () => (await tableRows(timeline)).at(-1)?.[4] ?? "").toMatch(/^2 /);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("The forecast", () => {
  it("is one plain sentence once there is enough to go by, and nothing before", async () => {
    // given a few charges
    const account = await TestAccount.open({ credit: "60.00" });
    await account.event("evt_gala", { name: "Gala Night" });
    await account.report([{ work: VIDEO, at: ago(minutes(50)) }]);
    const { page, context } = await open(browser, account.key);
    const answered = page.waitForResponse((response) => response.url().includes("/forecast") && response.ok());
    await page.reload();
    await answered;
    await panel(page, "Recent Activity").locator("tr[data-seq]").first().waitFor();
    expect(await page.getByText(/lasts until/).count()).toBe(0);

    // when an evening has gone on for a while
    await account.report(Array.from({ length: 24 }, (_, index): Report => ({ work: VIDEO, at: ago(minutes(2 * index + 1)) })));
    await page.reload();

    // then it says how long what is there lasts
    const { available } = await account.balance();
    await page.getByText(`At tonight\u2019s pace ${dollars(micro(available.amount))} lasts until`).waitFor();
    await context.close();
  });
});
