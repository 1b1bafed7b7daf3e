import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ALL_WORK, MODIFY, TestAccount, VIDEO, type Report } from "./support/account";
import { launch, open } from "./support/browser";
import { dollars, micro, sum } from "./support/money";
import { panel, plain, shown, tableRows } from "./support/read";
import { sql } from "./support/sql";
import { ago, hours } from "./support/time";
import { verify } from "./support/verify";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const EVENT = "evt_gala";

interface Row {
  readonly type: string;
  readonly status: string;
  readonly engine: string;
  readonly event: string;
  readonly amount: string;
  readonly balance: string;
  /** Date in the account's zone. */
  readonly day: string;
}

/** The account's rows as ClickHouse holds them, oldest first. */
async function rowsOf(account: TestAccount): Promise<Row[]> {
  const rows = await sql(
    `SELECT type, status, engine, event_id, toString(amount), toString(balance_after),
            toString(toDate(occurred_at, '${account.zone}'))
     FROM ledger WHERE account_id = '${account.id}' ORDER BY seq`,
  );
  return rows.map(([type = "", status = "", engine = "", event = "", amount = "", balance = "", day = ""]) => ({
    type,
    status,
    engine,
    event,
    amount,
    balance,
    day,
  }));
}

describe("The books", () => {
  it("balance, donut and timeline say what the ledger holds, and verify finds nothing wrong with it", async () => {
    // given work of three days, some of it failed, some refunded, some at another event
    const account = await TestAccount.open({ credit: "500.00" });
    await account.report([
      ...ALL_WORK.flatMap((work, index): Report[] =>
        Array.from({ length: 1 + (index % 3) }, (_, day) => ({ work, at: ago(hours(24 * day + 2)) })),
      ),
      { work: VIDEO, failed: true },
      { work: MODIFY, event: "evt_elsewhere" },
    ]);
    const refunded = (await account.entries()).find((entry) => entry.engine === VIDEO.engine && entry.status === "success");
    await account.refund(refunded?.entry_id ?? "");

    // when verify recomputes every entry from its record and compares every row of ClickHouse with it
    const { ok, defects, checked } = await verify();

    // then nothing is off, and the rows of the account may be taken for the ledger
    expect(Object.entries(defects).filter(([, count]) => count !== 0)).toEqual([]);
    expect(ok).toBe(true);
    const rows = await rowsOf(account);
    expect(checked.rows).toBeGreaterThanOrEqual(rows.length);

    // and the balance on the screen is the last of them, and their sum
    const [first, last] = [rows.map(({ day }) => day).sort()[0] ?? "", rows.map(({ day }) => day).sort().at(-1) ?? ""];
    const days = new Map<string, number>();
    for (const { type, status, day } of rows) {
      if (type === "consume" && status === "success") days.set(day, (days.get(day) ?? 0) + 1);
    }
    const from = [...days.keys()].sort()[0] ?? first;
    const { page, context, complaints } = await open(browser, account.key, `/?period=dates&from=${from}&to=${last}`);
    expect(await shown(page.getByTestId("balance-amount"))).toBe(dollars(micro(rows.at(-1)?.balance ?? "")));
    expect(micro(rows.at(-1)?.balance ?? "")).toBe(sum(rows.map(({ amount }) => amount)));

    // and each block of the timeline has the work of its day; a refund takes its charge out of its own day
    const timeline = panel(page, "Activity Timeline");
    const work = [...days.values()].reduce((total, count) => total + count, 0) - 1;
    await expect.poll(() => shown(page.getByTestId("timeline-total"))).toContain(String(work));
    await timeline.getByRole("button", { name: "Show as table" }).click();
    const blocks = await tableRows(timeline);
    expect(blocks.reduce((total, [, count]) => total + Number(count), 0)).toBe(work);

    // and the donut has the event's credits, engine by engine
    await page.goto(`/events/${EVENT}/analytics`);
    const engines = new Map<string, bigint>();
    for (const { event, engine, amount } of rows) {
      if (event === EVENT) engines.set(engine, (engines.get(engine) ?? 0n) - micro(amount));
    }
    const spent = [...engines.values()].filter((value) => value > 0n).sort((a, b) => (a < b ? 1 : -1));
    const total = spent.reduce((all, value) => all + value, 0n);
    await expect.poll(() => shown(page.getByTestId("donut-total"))).toBe(dollars(total));
    const amounts = (await panel(page, "Credits Used").locator(".donut-amount").allTextContents()).map(plain);
    const other = spent.slice(6).reduce((all, value) => all + value, 0n);
    expect(amounts).toEqual([...spent.slice(0, 6), ...(other > 0n ? [other] : [])].map((value) => dollars(value)));
    expect(complaints).toEqual([]);
    await context.close();
  });
});
