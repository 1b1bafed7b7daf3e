import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open, signIn, visit } from "./support/browser";
import { env } from "./support/env";
import { Hook, passListsOn, signatureOf, type Received } from "./support/hook";
import { send } from "./support/http";
import { panel, shown } from "./support/read";

let browser: Browser;
let hook: Hook;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  hook = await Hook.start();
});
afterEach(() => hook.stop());

const PATIENT = { timeout: 30_000 };

async function settings(account: TestAccount) {
  const visited = await visit(browser);
  await passListsOn(visited.page, account);
  await signIn(visited.page, account.key, "/settings");
  return { ...visited, webhooks: panel(visited.page, "Webhooks") };
}

/** Who delivers learns of a new endpoint or secret a moment later: pings are sent until one arrives as it is wanted. */
async function pinged(page: Page, isWanted: (received: Received) => boolean): Promise<void> {
  const send = page.getByRole("dialog").getByRole("button", { name: "Send a ping" });
  await expect
    .poll(
      async () => {
        if (!hook.received.some(isWanted)) await send.click();
        return hook.received.some(isWanted);
      },
      { timeout: 40_000, interval: 1_000 },
    )
    .toBe(true);
}

describe("Webhooks", () => {
  it("are added with a secret that is shown once, and each request is signed with it", async () => {
    const account = await TestAccount.open();
    const { page, context, complaints, webhooks } = await settings(account);
    await webhooks.getByText("No endpoints yet").waitFor();
    await webhooks.getByRole("button", { name: "Add endpoint" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("URL or email *").fill(hook.url);
    await dialog.getByRole("radio", { name: "Selected events" }).check();
    await dialog.getByLabel("Credits purchased").check();
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Add endpoint" }).click();
    const secret = await shown(dialog.getByTestId("secret"));
    expect(secret).toMatch(/^whsec_/);
    await dialog.getByRole("button", { name: "Done" }).click();
    expect(await page.content()).not.toContain(secret);
    await webhooks.getByText("All delivered").waitFor();
    expect(await shown(webhooks.locator("tbody tr"))).toContain("Credits purchased");

    await webhooks.getByRole("button", { name: `Manage ${hook.url}` }).click();
    await pinged(page, (ping) => ping.signatures.length === 1);
    const [ping] = hook.received;
    if (ping === undefined) throw new Error("no ping");
    expect(JSON.parse(ping.body)).toMatchObject({ type: "ping", data: { account_id: account.id } });
    expect(ping.signatures).toEqual([signatureOf(secret, ping)]);

    // When the secret is rotated, both are good for a day.
    await page.getByRole("button", { name: "Rotate secret" }).click();
    await page.getByRole("button", { name: "Rotate", exact: true }).click();
    const next = await shown(page.getByTestId("secret"));
    expect(next).not.toBe(secret);
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByText("Old secret valid until").waitFor();
    await pinged(page, (one) => one.signatures.length === 2);
    const second = hook.received.find((one) => one.signatures.length === 2);
    if (second === undefined) throw new Error("no second ping");
    expect(new Set(second.signatures)).toEqual(new Set([signatureOf(next, second), signatureOf(secret, second)]));
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("list what was given up, with why, and send it again", async () => {
    const account = await TestAccount.open();
    await send("POST", `${env.ingestUrl}/v1/accounts/${account.id}/webhooks`, account.key, { url: hook.url });
    // Gone: given up at once.
    hook.status = 410;
    const { page, context, webhooks } = await settings(account);
    await webhooks.getByRole("button", { name: /^Manage / }).click();
    const drawer = page.getByRole("dialog");
    await drawer.getByText("No failed deliveries").waitFor();
    await pinged(page, () => true);
    const item = drawer.locator(".dead-item").first();
    await item.waitFor(PATIENT);
    expect(await shown(item)).toMatch(/Ping.*410.*1 attempt/);
    await drawer.getByText(/^[1-9] failed$/).waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    const again = (): string[] => {
      const ids = hook.received.map(({ id }) => id);
      return ids.filter((id, index) => ids.indexOf(id) < index);
    };
    expect(again()).toEqual([]);
    hook.status = 204;
    await item.getByRole("button", { name: /^Resend Ping/ }).click();
    await drawer.getByText("1 message is sent again").waitFor();
    await expect.poll(again, PATIENT).toHaveLength(1);
    // On a slow machine more than one ping was sent before the first arrived; each of them is given up, and sent again.
    const empty = drawer.getByText("No failed deliveries");
    const next = drawer.getByRole("button", { name: /^Resend Ping/ }).first();
    await expect
      .poll(
        async () => {
          if (await next.isVisible()) await next.click();
          return empty.isVisible();
        },
        { timeout: 60_000, interval: 1_000 },
      )
      .toBe(true);

    // When the endpoint is deleted, nobody is told.
    await drawer.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Delete endpoint" }).click();
    await webhooks.getByText("No endpoints yet").waitFor();
    const left = await send("GET", `${env.ingestUrl}/v1/accounts/${account.id}/webhooks`, account.key);
    expect(left.body).toMatchObject({ data: [] });
    await context.close();
  });

  it("refuse an address at its field", async () => {
    const account = await TestAccount.open();
    const { page, context, webhooks } = await settings(account);
    await webhooks.getByRole("button", { name: "Add endpoint" }).click();
    const dialog = page.getByRole("dialog");
    for (const [typed, said] of [
      ["", "Enter a URL or an email address"],
      ["ftp://example.com/", "The URL must begin with https://"],
      ["https://me:pw@example.com/", "The URL must not contain a user name or a password"],
    ] as const) {
      await dialog.getByLabel("URL or email *").fill(typed);
      await dialog.getByRole("button", { name: "Add endpoint" }).click();
      await dialog.locator(".field-error").getByText(said).waitFor();
    }
    await context.close();
  });

  it("are said to be unavailable where the server does not list them", async () => {
    const account = await TestAccount.open();
    const { page, context } = await open(browser, account.key);
    await page.route("**/webhooks", (route) =>
      route.fulfill({
        status: 404,
        contentType: "application/problem+json",
        body: JSON.stringify({ title: "Not found", status: 404, code: "not_found" }),
      }),
    );
    await page.goto("/settings");
    const webhooks = panel(page, "Webhooks");
    await webhooks.getByText("Not available on this server").waitFor();
    expect(await webhooks.getByRole("button").count()).toBe(0);
    await context.close();
  });
});
