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
const DAY_MS = 86_400_000;

interface Row {
  readonly type: string;
  readonly status: string;
  readonly engine: string;
  readonly event: string;
  readonly amount: string;
  readonly balance: string;
  /** Of a refund: what it takes back, nothing where it is a part of the money. */
  readonly quantity: number;
  /** Date of the work in the account's zone. */
  readonly day: string;
}

/** The account's rows as ClickHouse holds them, oldest first. */
async function rowsOf(account: TestAccount): Promise<Row[]> {
  const rows = await sql(
    `SELECT type, status, engine, event_id, toString(amount), toString(balance_after), quantity,
            toString(toDate(occurred_at, '${account.zone}'))
     FROM ledger WHERE account_id = '${account.id}' ORDER BY seq`,
  );
  return rows.map(([type = "", status = "", engine = "", event = "", amount = "", balance = "", quantity, day = ""]) => ({
    type,
    status,
    engine,
    event,
    amount,
    balance,
    quantity: Number(quantity),
    day,
  }));
}

/** Successful work net of what was taken back, for each day from the first to the last one. */
function workByDay(rows: readonly Row[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { type, status, quantity, day } of rows) {
    const count = type === "consume" && status === "success" ? 1 : type === "refund" && quantity !== 0 ? -1 : 0;
    if (type === "consume" || type === "refund") counts.set(day, (counts.get(day) ?? 0) + count);
  }
  const days = [...counts.keys()].sort();
  const [first, last] = [Date.parse(days[0] ?? ""), Date.parse(days.at(-1) ?? "")];
  return Array.from({ length: (last - first) / DAY_MS + 1 }, (_, index) => {
    const day = new Date(first + index * DAY_MS).toISOString().slice(0, 10);
    return [day, counts.get(day) ?? 0];
  });
}

describe("The books", () => {
  it("balance, donut and timeline say what the ledger holds, and verify finds nothing wrong with it", async () => {
    // given work of three days of a week, some of it failed, some refunded, some at another event
    const account = await TestAccount.open({ credit: "500.00" });
    await account.report([
      ...ALL_WORK.flatMap((work, index): Report[] =>
        Array.from({ length: 1 + (index % 3) }, (_, turn) => ({ work, at: ago(hours(48 * turn + 2)) })),
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
    const days = workByDay(rows);
    const range = `from=${days[0]?.[0] ?? ""}&to=${days.at(-1)?.[0] ?? ""}`;
    const { page, context, complaints } = await open(browser, account.key, `/?period=dates&${range}`);
    await expect.poll(() => shown(page.getByTestId("balance-amount"))).toBe(dollars(micro(rows.at(-1)?.balance ?? "")));
    expect(micro(rows.at(-1)?.balance ?? "")).toBe(sum(rows.map(({ amount }) => amount)));

    // and each block of the timeline has the work of its day; a refund takes its charge out of its own day
    const timeline = panel(page, "Activity Timeline");
    await timeline.getByRole("button", { name: "Show as table" }).click();
    await expect
      .poll(async () => (await tableRows(timeline)).map(([, count]) => Number(count)))
      .toEqual(days.map(([, count]) => count));
    const work = days.reduce((total, [, count]) => total + count, 0);
    await expect.poll(() => shown(page.getByTestId("timeline-total"))).toContain(String(work));

    // and the donut has the event's credits, engine by engine
    await page.goto(`/events/${EVENT}/analytics`);
    const engines = new Map<string, bigint>();
    for (const { event, engine, amount } of rows) {
      if (event === EVENT) engines.set(engine, (engines.get(engine) ?? 0n) - micro(amount));
    }
    const spent = [...engines.values()].filter((value) => value > 0n).sort((a, b) => (a < b ? 1 : -1));
    const total = spent.reduce((all, value) => all + value, 0n);
    await expect.poll(() => shown(page.getByTestId("donut-total"))).toBe(dollars(total));
    const other = spent.slice(6).reduce((all, value) => all + value, 0n);
    await expect
      .poll(async () => (await panel(page, "Credits Used").locator(".donut-amount").allTextContents()).map(plain))
      .toEqual([...spent.slice(0, 6), ...(other > 0n ? [other] : [])].map((value) => dollars(value)));
    expect(complaints).toEqual([]);
    await context.close();
  }, 180_000);
});
