import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount, VIDEO } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open, TABLET } from "./support/browser";
import { env } from "./support/env";
import { read, send, until } from "./support/http";
import { dollars, sum } from "./support/money";
import { panel, plain, shown } from "./support/read";
import { sql } from "./support/sql";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

interface FleetSums {
  readonly buckets: readonly {
    readonly groups: readonly { readonly key: string | null; readonly count: number; readonly failures: number }[];
  }[];
}

interface Letter {
  readonly id: string;
  readonly payload_text: string | null;
}

/** Work that no book has a price for; its dead letter. */
async function unpriced(account: TestAccount): Promise<Letter> {
  const operation = `op_unpriced_${account.id}`;
  const event = {
    specversion: "1.0",
    id: `${operation}.1`,
    source: "/booths/bth_01",
    type: "tollbooth.usage.v1",
    subject: account.id,
    time: new Date().toISOString(),
    data: {
      operation_id: operation,
      event_id: "evt_gala",
      booth_id: "bth_01",
      service: "ai_modify",
      engine: "nobody",
      unit: "image",
      quantity: "1",
      status: "success",
    },
  };
  const sent = await send("POST", `${env.ingestUrl}/v1/events`, env.adminKey, [event], {
    "Content-Type": "application/cloudevents-batch+json",
  });
  if (sent.status !== 202) throw new Error(`report: ${JSON.stringify(sent.body)}`);
  return until("the dead letter", async () => {
    const { data } = await read<{ data: Letter[] }>("/v1/dead-letters?reason=no_price&limit=50");
    return data.find((letter) => letter.payload_text?.includes(operation)) ?? null;
  });
}

describe("Top spenders", () => {
  it("are the accounts with the largest sums, and lead to their pages", async () => {
    // given an account that spends more than what other tests do
    const account = await TestAccount.open({ name: "Grand Spenders", credit: "5000.00" });
    const clip = { ...VIDEO, quantity: "600" };
    await account.report([{ work: clip }, { work: clip }, { work: MODIFY }, { work: VIDEO, failed: true }]);
    const spent = -sum((await account.entries({ type: "consume" })).map((entry) => entry.amount.amount));

    await until("the work in the fleet's sums", async () => {
      const { buckets } = await read<FleetSums>("/v1/fleet/usage?group_by=account&bucket=year");
      const mine = buckets.flatMap(({ groups }) => groups).find(({ key }) => key === account.id);
      return mine?.count === 3 && mine.failures === 1 ? true : null;
    });

    // when
    const { page, context, complaints } = await open(browser, env.adminKey, "/fleet");

    // then
    const row = panel(page, "Top spenders").locator("tbody tr").filter({ hasText: account.id });
    await row.getByText("Grand Spenders").waitFor();
    const cells = (await row.locator("td").allTextContents()).map(plain);
    expect(cells.slice(1, 5)).toEqual(["Pay-As-You-Go", dollars(spent), "3", "1"]);
    await row.getByRole("button", { name: "Open Grand Spenders" }).click();
    await page.waitForURL((url) => url.pathname === "/");
    await expect.poll(() => shown(page.locator(".account-name"))).toBe("Grand Spenders");

    // A month without any spend says so; the period is in the address.
    await page.goto("/fleet?period=dates&from=2019-01-01&to=2019-01-31");
    await panel(page, "Top spenders").getByText("Nothing was spent in this period").waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("Dead letters", () => {
  it("are shown with the record, and driven again", async () => {
    const account = await TestAccount.open();
    const letter = await unpriced(account);
    const { page, context, complaints } = await open(browser, env.adminKey);
    // More letters than one request takes are not there in a moment: what the service would say is put in its place.
    const asked: unknown[] = [];
    const answers = [
      { open: 3, counts: { posted: 2 }, next_after: 7, results: [] },
      { open: 1, counts: { posted: 1, refused: 1 }, results: [] },
    ];
    await page.route("**/v1/dead-letters/redrive", async (route) => {
      const body = route.request().postDataJSON() as { reason?: string };
      if (body.reason === undefined) return route.continue();
      asked.push(body);
      return route.fulfill({ json: answers[asked.length - 1] });
    });
    await page.goto("/fleet");
    const letters = panel(page, "Dead letters");
    await letters.getByRole("combobox", { name: "Reason" }).selectOption("no_price");
    const row = letters.locator("tbody tr").filter({ hasText: account.id }).first();
    await row.getByText("Open").waitFor();
    await row.getByRole("button", { name: "Show" }).click();
    const dialog = page.getByRole("dialog");
    expect(await shown(dialog.locator(".payload"))).toContain(`op_unpriced_${account.id}`);
    await dialog.getByRole("button", { name: "Redrive" }).click();
    await dialog.getByText("Refused again").waitFor();
    const judged = await read<{ redrive: { outcome: string; reason: string } | null }>(`/v1/dead-letters/${letter.id}`);
    expect(judged.redrive).toMatchObject({ outcome: "refused", reason: "no_price" });
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Close" }).click();

    // All of a reason: request after request, until all were tried.
    await letters.getByRole("button", { name: "Redrive all no price" }).click();
    await dialog.getByRole("button", { name: "Redrive" }).click();
    await dialog.getByText("Posted: 3").waitFor();
    await dialog.getByText("Refused again: 1").waitFor();
    expect(asked).toEqual([{ reason: "no_price" }, { reason: "no_price", after: 7 }]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("are dismissed with a note, one of them or all of a reason", async () => {
    const account = await TestAccount.open();
    const letter = await unpriced(account);
    const note = "a test of the booth";
    const { page, context, complaints } = await open(browser, env.adminKey);
    // Those of other tests stay: what the service would say of all is put in its place.
    const asked: unknown[] = [];
    const answers = [
      { open: 3, counts: { dismissed: 2 }, next_after: 7, results: [] },
      { open: 1, counts: { pending: 1 }, results: [] },
    ];
    await page.route("**/v1/dead-letters/dismiss", async (route) => {
      const body = route.request().postDataJSON() as { reason?: string };
      if (body.reason === undefined) return route.continue();
      asked.push(body);
      return route.fulfill({ json: answers[asked.length - 1] });
    });
    await page.goto("/fleet");
    const letters = panel(page, "Dead letters");
    await letters.getByRole("combobox", { name: "Reason" }).selectOption("no_price");
    const row = letters.locator("tbody tr").filter({ hasText: account.id }).first();
    await row.getByText("Open").waitFor();
    await row.getByRole("button", { name: "Show" }).click();
    const dialog = page.getByRole("dialog");
    const actions = dialog.locator(".dialog-actions");

    // when no note is given, nothing is asked for
    await dialog.getByRole("button", { name: "Dismiss" }).click();
    await actions.getByRole("button", { name: "Dismiss" }).click();
    await dialog.getByText("Say why").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    const standing = () => read<{ state: string; redrive: unknown }>(`/v1/dead-letters/${letter.id}`);
    expect(await standing()).toMatchObject({ state: "open", redrive: null });

    // and with one the letter is closed, and says why
    await dialog.getByRole("textbox", { name: "Note" }).fill(note);
    await actions.getByRole("button", { name: "Dismiss" }).click();
    await dialog.getByText("Dismissed: 1").waitFor();
    await expect.poll(standing).toMatchObject({ state: "closed", redrive: { outcome: "dismissed", note } });
    await actions.getByRole("button", { name: "Close" }).click();
    await row.getByText("Closed").waitFor();
    await row.getByRole("button", { name: "Show" }).click();
    await dialog.getByText(note).waitFor();
    expect(await dialog.getByRole("button", { name: "Redrive" }).count()).toBe(0);
    await dialog.getByRole("button", { name: "Close" }).click();
    await dialog.waitFor({ state: "detached" });

    // All of a reason: the button is there while one is open.
    await unpriced(await TestAccount.open());
    await page.reload();
    await letters.getByRole("combobox", { name: "Reason" }).selectOption("no_price");
    await letters.getByRole("button", { name: "Dismiss all no price" }).click();
    await dialog.getByRole("textbox", { name: "Note" }).fill(note);
    await actions.getByRole("button", { name: "Dismiss" }).click();
    await dialog.getByText("Dismissed: 2").waitFor();
    await dialog.getByText("Not confirmed yet, try again: 1").waitFor();
    const before = expect.any(String) as string;
    expect(asked).toEqual([
      { note, reason: "no_price", before },
      { note, reason: "no_price", before, after: 7 },
    ]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("Accounts", () => {
  it("have their plans by name, of the book of their currency", async () => {
    // given an account on a plan whose code differs from its name
    const account = await TestAccount.open({ name: "Planned Booths", plan: "payg", credit: "25.00" });
    const { page, context, complaints } = await open(browser, env.adminKey, "/fleet");
    const accounts = panel(page, "Accounts");

    // when it is looked for
    await accounts.getByRole("searchbox").fill(account.id);

    // then its row says the plan as customers know it, its zone and what it has
    const row = accounts.locator("tbody tr").filter({ hasText: account.id });
    await expect
      .poll(async () => (await row.locator("td").allTextContents()).map(plain).slice(1))
      .toEqual(["Pay-As-You-Go", "New York time", "$25.00", "$25.00"]);

    // and of one that has nothing left, that its booths are refused
    const empty = await TestAccount.open({ name: "Spent Booths", credit: "0" });
    await accounts.getByRole("searchbox").fill(empty.id);
    await accounts.locator("tbody tr").filter({ hasText: empty.id }).getByText("No credits left").waitFor();
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("On a tablet", () => {
  it("accounts and spenders fit their panels; what has no column of its own is said below the name", async () => {
    // given an account with a long id and a large sum
    const account = await TestAccount.open({ name: "Tablet Booths", credit: "9876543.21" });
    await account.report([{ work: { ...VIDEO, quantity: "60000" } }]);
    const { page, context } = await open(browser, env.adminKey, "/fleet", { size: TABLET, touch: true });
    const accounts = panel(page, "Accounts");

    // when it is looked for
    await accounts.getByRole("searchbox").fill(account.id);
    const row = accounts.locator("tbody tr").filter({ hasText: account.id });
    await row.getByText("Pay-As-You-Go \u00b7 New York time").waitFor();

    // then nothing of it has to be scrolled to, and nothing is said twice
    expect(await row.getByText("New York time", { exact: true }).isVisible()).toBe(false);
    await panel(page, "Top spenders").locator("tbody tr").first().waitFor();
    for (const title of ["Accounts", "Top spenders", "Spend by engine"]) {
      const table = panel(page, title).locator(".data-scroll");
      const beyond = await table.evaluate((box) => box.scrollWidth - box.clientWidth);
      expect(beyond, title).toBe(0);
    }
    await context.close();
  });
});

describe("Drift", () => {
  it("names the account whose sums contradict its entries, until they are mended", async () => {
    // given a fleet whose figures agree
    const account = await TestAccount.open({ name: "Drifting Booths" });
    const { page, context, complaints } = await open(browser, env.adminKey, "/fleet");
    const drift = panel(page, "Drift");
    await drift.getByText("All figures agree", { exact: true }).waitFor({ timeout: 30_000 });

    // when a sum of one account is damaged
    await sql(`INSERT INTO usage_15m_by_booth (account_id, booth_id, bucket, amount) VALUES ('${account.id}', 'bth_x', now(), 7)`);

    // then the page says so by itself, and by how much
    await drift.getByText("The figures of 1 account contradict each other.").waitFor({ timeout: 30_000 });
    const row = drift.locator("tbody tr");
    await expect.poll(async () => (await row.locator("td").allTextContents()).map(plain)).toEqual([
      `Drifting Booths ${account.id}`,
      "Sums of charts against the entries",
      "$7.00",
    ]);
    expect(await seriousFindings(page)).toEqual([]);

    // and agrees again when it is mended
    await sql(`ALTER TABLE usage_15m_by_booth DELETE WHERE account_id = '${account.id}' AND booth_id = 'bth_x' SETTINGS mutations_sync = 2`);
    await drift.getByText("All figures agree", { exact: true }).waitFor({ timeout: 30_000 });
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("tells a watch that stands still, or never looked, from figures that agree", async () => {
    const said: object[] = [
      { began_at: null, looked_at: null, passed_at: null, data: [] },
      { began_at: "2026-01-01T08:00:00Z", looked_at: "2026-01-01T09:00:00Z", passed_at: "2026-01-01T08:59:00Z", data: [] },
    ];
    const words = ["Not checked yet", "the figures are not being checked at the moment"];
    for (const [index, body] of said.entries()) {
      const { page, context } = await open(browser, env.adminKey);
      await page.route("**/v1/fleet/drift", (route) => route.fulfill({ json: body }));
      await page.goto("/fleet");
      await panel(page, "Drift").getByText(words[index] ?? "").waitFor();
      await context.close();
    }
    const { page, context } = await open(browser, env.adminKey);
    const problem = { type: "about:blank", title: "Not available at the moment", status: 503, code: "unavailable" };
    await page.route("**/v1/fleet/drift", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", json: problem }));
    await page.goto("/fleet");
    await panel(page, "Drift").getByText("Not available at the moment").waitFor({ timeout: 30_000 });
    await panel(page, "Accounts").locator("tbody tr").first().waitFor();
    await context.close();
  });
});
