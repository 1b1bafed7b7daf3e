import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ALL_WORK, DRAW, FACE, MODIFY, REMOVAL, TestAccount, VIDEO, type Entry, type Report } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open } from "./support/browser";
import { env } from "./support/env";
import { dollars, micro, sum } from "./support/money";
import { choose, ledgerRows, panel, plain, shown, tableRows } from "./support/read";
import { ago, hours, minutes } from "./support/time";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const EVENT = "evt_gala";
const PATH = `/events/${EVENT}/analytics`;

const ofEvent = (entries: readonly Entry[]): Entry[] => entries.filter((entry) => entry.event_id === EVENT);
const spent = (entries: readonly Entry[]): bigint => -sum(entries.map((entry) => entry.amount.amount));

function spentBy<K extends keyof Entry>(entries: readonly Entry[], member: K): Map<Entry[K], bigint> {
  const sums = new Map<Entry[K], bigint>();
  for (const entry of entries) sums.set(entry[member], (sums.get(entry[member]) ?? 0n) - micro(entry.amount.amount));
  return sums;
}

describe("Event analytics", () => {
  it("S8, S11: the donut and the breakdown add up to the event's entries, engine by engine", async () => {
    const account = await TestAccount.open({ credit: "500.00" });
    await account.report([
      ...ALL_WORK.flatMap((work, index): Report[] => Array.from({ length: index + 1 }, () => ({ work }))),
      { work: VIDEO, failed: true },
      { work: MODIFY, event: "evt_elsewhere" },
    ]);
    const refunded = ofEvent(await account.entries()).find(
      (entry) => entry.engine === VIDEO.engine && entry.status === "success",
    );
    await account.refund(refunded?.entry_id ?? "");
    const entries = ofEvent(await account.entries());
    const { page, context, complaints } = await open(browser, account.key, PATH);

    const credits = panel(page, "Credits Used");
    const total = spent(entries);
    await expect.poll(() => shown(page.getByTestId("donut-total"))).toBe(dollars(total));
    await expect.poll(() => shown(page.getByTestId("event-used"))).toBe(dollars(total));

    const engines = [...spentBy(entries, "engine").values()]
      .filter((value) => value > 0n)
      .sort((a, b) => (a < b ? 1 : -1));
    const other = engines.slice(6).reduce((rest, value) => rest + value, 0n);
    await expect
      .poll(async () => (await credits.locator(".donut-amount").allTextContents()).map(plain))
      .toEqual([...engines.slice(0, 6), other].map((value) => dollars(value)));
    expect(await credits.locator("[data-slice]").count()).toBe(7);

    const services = spentBy(entries, "service");
    const standard = (services.get(REMOVAL.service) ?? 0n) + (services.get(FACE.service) ?? 0n);
    const row = async (name: string): Promise<string> =>
      plain(
        await page
          .getByTestId("breakdown")
          .locator("tbody tr")
          .filter({ hasText: name })
          .first()
          .locator("td")
          .nth(2)
          .textContent(),
      );
    for (const [name, code] of [
      ["AI Image To Video", "ai_image_to_video"],
      ["AI Modify", "ai_modify"],
      ["AI Draw Me", "ai_draw_me"],
      ["AI Combine", "ai_combine"],
      ["SMS", "sms"],
      ["Editorial AI", "editorial_ai"],
    ] as const) {
      await expect.poll(() => row(name), { message: name }).toBe(dollars(services.get(code) ?? 0n));
    }
    await expect.poll(() => row("Standard AI")).toBe(dollars(standard));

    // What the ring has no room for is in its table.
    await credits.getByRole("button", { name: "Show as table" }).click();
    await expect
      .poll(async () => (await tableRows(credits)).map((cells) => cells[2]))
      .toEqual(engines.map((value) => dollars(value)));
    expect(await seriousFindings(page)).toEqual([]);
    await credits.getByRole("button", { name: "Show as chart" }).click();
    await expect.poll(() => credits.locator("[data-slice]").count()).toBe(7);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("S8: slices are reached by one tab stop and arrow keys, with label, amount and share", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: VIDEO }, { work: MODIFY }, { work: DRAW }]);
    const { page, context } = await open(browser, account.key, PATH);
    const slices = panel(page, "Credits Used").locator("[data-slice]");
    await expect.poll(() => slices.count()).toBe(3);
    expect(await slices.evaluateAll((all) => all.map((slice) => slice.getAttribute("tabindex")))).toEqual([
      "0",
      "-1",
      "-1",
    ]);
    await slices.first().focus();
    await page.keyboard.press("ArrowRight");
    const label = (): Promise<string | null | undefined> =>
      page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
    await expect.poll(label).toBe("Nano Banana 2: $0.24, 14.6%, 1 activity");
    await expect.poll(() => shown(page.getByTestId("donut-total"))).toBe("$0.24");
    await context.close();
  });

  it("S9: AI Activities has four toggles and counts the event's own time in the event's zone", async () => {
    const account = await TestAccount.open({ zone: "America/New_York" });
    await account.event(EVENT, {
      name: "Gala Night",
      starts_at: ago(hours(5)).toISOString(),
      ends_at: ago(hours(-1)).toISOString(),
      time_zone: "Asia/Kathmandu",
      budget: { amount: "10.00", on_exceeded: "warn" },
    });
    await account.report([
      { work: MODIFY, at: ago(hours(4)) },
      { work: MODIFY, at: ago(hours(2)) },
      { work: VIDEO, at: ago(minutes(3)) },
      { work: MODIFY, at: ago(hours(2)), failed: true },
    ]);
    const { page, context, complaints } = await open(browser, account.key, PATH);
    const chart = panel(page, "AI Activities");
    const toggles = chart.getByRole("radiogroup", { name: "Period" }).getByRole("radio");
    expect(await toggles.evaluateAll((all) => all.map((toggle) => toggle.parentElement?.textContent))).toEqual([
      "Event Period",
      "This Year",
      "This Month",
      "Select Dates",
    ]);
    expect(await toggles.first().isChecked()).toBe(true);
    await page.getByText("Kathmandu time, the event\u2019s zone").waitFor();
    const isWork = (entry: Entry): boolean => entry.type === "consume" && entry.status === "success";
    const entries = ofEvent(await account.entries()).filter(isWork);
    // In its first hours a year has not all of it.
    const year = (time: string | Date): string =>
      new Intl.DateTimeFormat("en-US", { timeZone: "Asia/Kathmandu", year: "numeric" }).format(new Date(time));
    const thisYear = entries.filter((entry) => year(entry.occurred_at) === year(new Date()));
    for (const [toggle, work] of [
      ["Event Period", entries.length],
      ["This Year", thisYear.length],
    ] as const) {
      await choose(chart, toggle);
      await expect
        .poll(() => shown(page.getByTestId("activities-total")), { message: toggle })
        .toMatch(new RegExp(`^${String(work)} activit(y|ies)`));
      await chart.getByRole("button", { name: "Show as table" }).click();
      const counted = async (): Promise<number> =>
        (await tableRows(chart)).reduce((total, cells) => total + Number(cells[1]), 0);
      await expect.poll(counted, { message: toggle }).toBe(work);
      await chart.getByRole("button", { name: "Show as chart" }).click();
    }
    const budget = panel(page, "Budget");
    await expect.poll(() => shown(budget)).toContain(`${dollars(spent(entries))} of $10.00`);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("S10: Event Activities grows while it is open, holds still on Pause, and shows the account's balance", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: MODIFY }]);
    const { page, context } = await open(browser, account.key, PATH);
    const ledger = panel(page, "Event Activities");
    await expect.poll(async () => (await ledgerRows(ledger)).length).toBe(1);
    await account.report([{ work: VIDEO }, { work: MODIFY, event: "evt_elsewhere" }]);
    await expect.poll(async () => (await ledgerRows(ledger)).length).toBe(2);
    const [newest] = ofEvent(await account.entries());
    await expect.poll(async () => (await ledgerRows(ledger))[0]?.slice(1)).toEqual([
      "AI Image To Video (Kling)",
      "Consume",
      "Success",
      dollars(micro(newest?.amount.amount ?? "0"), true),
      dollars(micro(newest?.balance_after.amount ?? "0")),
    ]);
    await expect.poll(() => shown(page.getByTestId("donut-total"))).toBe("$1.44");

    await ledger.getByRole("button", { name: "Pause live updates" }).click();
    await account.report([{ work: DRAW }]);
    await ledger.getByText("1 new entry waiting").waitFor();
    expect(await ledgerRows(ledger)).toHaveLength(2);
    await ledger.getByRole("button", { name: "Resume live updates" }).click();
    await expect.poll(async () => (await ledgerRows(ledger)).length).toBe(3);
    await context.close();
  });

  it("S16: estimates the next event from this one and says when the balance is too low", async () => {
    const account = await TestAccount.open({ credit: "5.00" });
    await account.report([{ work: MODIFY }, { work: MODIFY }]);
    const { page, context } = await open(browser, account.key, PATH);
    // 160 guests, 1.25 activities each, 0.24 an image.
    await page.getByLabel("Guests").fill("160");
    await expect.poll(() => shown(page.getByTestId("estimate-total"))).toBe("$48.00");
    await expect.poll(() => shown(page.getByTestId("estimate"))).toContain("more than is available");
    await page.getByLabel("Guests").fill("8");
    await expect.poll(() => shown(page.getByTestId("estimate-total"))).toBe("$2.40");
    await expect.poll(() => shown(page.getByTestId("estimate"))).toContain("is enough");
    await page.getByLabel("Guests").fill("none");
    await page.getByText("Enter a whole number from 1 to 100,000.").waitFor();
    await context.close();
  });
});

describe("Margin", () => {
  it("is told to an administrator alone: revenue less what providers take, engine by engine", async () => {
    // given work whose providers take two cents a piece
    const account = await TestAccount.open();
    await account.report([{ work: VIDEO }, { work: VIDEO }, { work: MODIFY }, { work: DRAW, failed: true }]);
    const entries = ofEvent(await account.entries()).filter((entry) => entry.status === "success");
    const cost = BigInt(entries.length) * 20_000n;

    // when an administrator looks at the event
    const { page, context, complaints } = await open(browser, env.adminKey, `${PATH}?account=${account.id}`);

    // then it is the sum of the entries less the costs
    const margin = panel(page, "Margin");
    await expect.poll(() => shown(margin)).toContain(dollars(spent(entries) - cost));
    await expect.poll(() => shown(margin)).toContain(dollars(cost));
    await context.close();

    // and the account's own key is told nothing of it
    const own = await open(browser, account.key, PATH);
    await own.page.getByTestId("donut-total").waitFor();
    expect(await panel(own.page, "Margin").count()).toBe(0);
    expect([...complaints, ...own.complaints]).toEqual([]);
    await own.context.close();
  });
});

describe("Events", () => {
  it("lists and searches the account's events, and leads to their analytics", async () => {
    const account = await TestAccount.open();
    await account.event("evt_party", { name: "Summer Party", time_zone: "Europe/Berlin" });
    await account.report([
      { work: MODIFY, event: "evt_party" },
      { work: VIDEO, event: "evt_party" },
      { work: DRAW, event: "evt_plain" },
    ]);
    const { page, context, complaints } = await open(browser, account.key, "/events");
    const rows = page.locator(".events-table tbody tr");
    await expect.poll(() => rows.count()).toBe(2);
    await expect.poll(() => shown(rows.filter({ hasText: "Summer Party" }))).toContain("$1.44");
    await page.getByLabel("Search events").fill("summer");
    await expect.poll(() => rows.count()).toBe(1);
    await expect.poll(() => page.url()).toContain("q=summer");
    await rows.getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: "Summer Party" }).waitFor();
    await page.goBack();
    await page.getByLabel("Search events").fill("nobody");
    await page.getByText("No event matches").waitFor();
    await page.getByRole("button", { name: "Clear search" }).click();
    await expect.poll(() => rows.count()).toBe(2);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
