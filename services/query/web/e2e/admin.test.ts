import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open, visit, signIn } from "./support/browser";
import { env } from "./support/env";
import { read } from "./support/http";
import { panel, shown } from "./support/read";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

interface EventSeen {
  readonly name: string;
  readonly starts_at: string;
  readonly ends_at: string;
  readonly budget: { readonly amount: { readonly amount: string }; readonly policy: string } | null;
}

describe("An administrator", () => {
  it("makes an event before anything happened, and gives it a budget", async () => {
    const account = await TestAccount.open({ zone: "America/New_York" });
    const { page, context, complaints } = await visit(browser);
    await signIn(page, env.adminKey);
    await page.goto(`/events?account=${account.id}`);
    const dialog = page.getByRole("dialog");

    // given a form with something missing, then it says so and sends nothing
    await page.getByRole("button", { name: "New event" }).click();
    await dialog.getByLabel("Event ID").fill("evt_next_gala");
    await dialog.getByLabel("Starts").fill("2026-12-05T18:00");
    await dialog.getByLabel("Ends").fill("2026-12-05T17:00");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText("Enter a name").waitFor();
    await dialog.getByText("The end must be after the start").waitFor();
    expect(await seriousFindings(page)).toEqual([]);

    // when it is mended
    await dialog.getByLabel("Name").fill("Winter Gala");
    await dialog.getByLabel("Ends").fill("2026-12-05T23:30");
    await dialog.getByRole("button", { name: "Save" }).click();

    // then the event's page opens, in the event's zone
    await page.waitForURL(/\/events\/evt_next_gala\/analytics$/);
    await expect.poll(() => shown(page.locator("h1"))).toBe("Winter Gala");
    expect(await shown(page.locator(".event-facts"))).toContain("Dec 5, 2026, 6:00 PM – 11:30 PM");

    await panel(page, "Budget").getByRole("button", { name: "Set a budget" }).click();
    await dialog.getByLabel("Budget").fill("250.00");
    await dialog.getByRole("radio", { name: "Refuse work that reserves credits first" }).check();
    await dialog.getByRole("button", { name: "Save" }).click();
    await panel(page, "Budget").getByText("$250.00").first().waitFor();
    await expect
      .poll(async () => {
        const event = await read<EventSeen>(`/v1/accounts/${account.id}/events/evt_next_gala`);
        const instants = [event.starts_at, event.ends_at].map((instant) => new Date(instant).toISOString());
        return [event.name, ...instants, event.budget?.amount.amount, event.budget?.policy];
      })
      .toEqual(["Winter Gala", "2026-12-05T23:00:00.000Z", "2026-12-06T04:30:00.000Z", "250.00", "refuse_holds"]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("pauses a booth that nobody named yet", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: MODIFY, booth: "bth_unnamed" }]);
    const { page, context, complaints } = await visit(browser);
    await signIn(page, env.adminKey);
    await page.goto(`/settings?account=${account.id}`);
    const row = panel(page, "Booths").locator("tbody tr").filter({ hasText: "bth_unnamed" });
    await row.getByRole("button", { name: /Pause/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Pause booth" }).click();
    await row.getByText("Paused").waitFor();
    await expect
      .poll(async () => {
        const { data } = await read<{ data: { paused: boolean }[] }>(`/v1/accounts/${account.id}/booths`);
        return data.map((booth) => booth.paused);
      })
      .toEqual([true]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe("An account's own key", () => {
  it("is offered nothing that only an administrator may do", async () => {
    const account = await TestAccount.open();
    await account.report([{ work: MODIFY }]);
    const { page, context } = await open(browser, account.key, "/events");
    await page.getByText("evt_gala").first().waitFor();
    expect(await page.getByRole("button", { name: "New event" }).count()).toBe(0);
    await page.goto("/events/evt_gala/analytics");
    await panel(page, "Budget").waitFor();
    expect(await panel(page, "Budget").getByRole("button").count()).toBe(0);
    await context.close();
  });
});
