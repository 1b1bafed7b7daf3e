import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount, VIDEO } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open } from "./support/browser";
import { env } from "./support/env";
import { read, send, until } from "./support/http";
import { dollars, sum } from "./support/money";
import { panel, plain, shown } from "./support/read";

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
  it("are shown with the record, and driven again where the service can", async () => {
    const account = await TestAccount.open();
    const letter = await unpriced(account);
    const { page, context, complaints } = await open(browser, env.adminKey);
    // The service of this release may not know how letters stand: what it would say is put in its place.
    await page.route("**/v1/dead-letters?*", async (route) => {
      const response = await route.fetch();
      const body = (await response.json()) as { data: object[] };
      const data = body.data.map((one) => ({ state: "open", redrive: null, ...one }));
      await route.fulfill({ response, json: { ...body, data } });
    });
    const asked: unknown[] = [];
    const results = [{ id: letter.id, outcome: "refused", reason: "no_price", detail: "still no price" }];
    const answers = [
      { open: 1, counts: { refused: 1 }, results },
      { open: 3, counts: { posted: 2 }, next_after: 7, results: [] },
      { open: 1, counts: { posted: 1, refused: 1 }, results: [] },
    ];
    await page.route("**/v1/dead-letters/redrive", async (route) => {
      asked.push(route.request().postDataJSON());
      await route.fulfill({ json: answers[asked.length - 1] });
    });
    await page.goto("/fleet");
    const letters = panel(page, "Dead letters");
    await letters.getByRole("combobox", { name: "Reason" }).selectOption("no_price");
    const row = letters.locator("tbody tr").filter({ hasText: account.id }).first();
    await row.getByText("Open").waitFor();
    await row.getByRole("button", { name: "Show" }).click();
    const dialog = page.getByRole("dialog");
    expect(await shown(dialog.locator(".payload"))).toContain(`op_unpriced_${account.id}`);
    await dialog.getByRole("button", { name: "Drive again" }).click();
    await dialog.getByText("Refused again").waitFor();
    await dialog.getByText("still no price").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Close" }).click();

    // All of a reason: request after request, until all were tried.
    await letters.getByRole("button", { name: "Drive all no price again" }).click();
    await dialog.getByRole("button", { name: "Drive again" }).click();
    await dialog.getByText("Posted: 3").waitFor();
    await dialog.getByText("Refused again: 1").waitFor();
    expect(asked).toEqual([{ ids: [letter.id] }, { reason: "no_price" }, { reason: "no_price", after: 7 }]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
