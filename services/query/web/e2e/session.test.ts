import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open, signIn, visit } from "./support/browser";
import { env } from "./support/env";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("Sign-in", () => {
  it("leads to the page that was asked for, keeps the key nowhere, and ends on sign-out", async () => {
    const account = await TestAccount.open();
    const { page, context, complaints } = await visit(browser);
    await page.goto("/activity");
    await page.waitForURL(/\/sign-in/);
    await page.getByLabel("API key").fill(account.key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/\/activity/);
    const stored = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    );
    expect(stored).not.toContain(account.key);
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ name: "tollbooth_session", httpOnly: true, sameSite: "Lax" });
    await page.getByRole("button", { name: "Sign out" }).first().click();
    await page.waitForURL(/\/(sign-in|pricing)/);
    await page.goto("/activity");
    await page.waitForURL(/\/sign-in/);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("says so when signing out does not work, and leaves nobody signed in who believes otherwise", async () => {
    const account = await TestAccount.open();
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    // given a service that cannot be reached
    await page.route("**/v1/session", (route) => (route.request().method() === "DELETE" ? route.abort() : route.continue()));
    await page.getByRole("button", { name: "Sign out" }).click();

    // then the pages stay, and say what to do
    const dialog = page.getByRole("dialog", { name: "You are still signed in" });
    await dialog.getByText("The server cannot be reached").waitFor();
    await dialog.getByText("delete this site\u2019s cookies").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Try again" }).click();
    await dialog.getByText("The server cannot be reached").waitFor();
    await dialog.getByRole("button", { name: "Close", exact: true }).last().click();
    expect(new URL(page.url()).pathname).toBe("/billing");
    await page.getByRole("heading", { name: "Billing" }).waitFor();

    // when it can be, then the same button ends the session
    await page.unroute("**/v1/session");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(/\/sign-in/);
    expect(await context.cookies()).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it.each(["/", "/pricing"])("says at %s that a session has ended here, and elsewhere later", async (path) => {
    const account = await TestAccount.open();
    const { page, context, complaints } = await open(browser, account.key, path);
    // given brokers that do not answer: what the service says of it is put in its place
    await page.route("**/v1/session", async (route) => {
      if (route.request().method() !== "DELETE") return route.continue();
      const response = await route.fetch();
      const json = { type: "about:blank", title: "Signed out here, not everywhere yet", status: 503, code: "sign_out_pending" };
      return route.fulfill({ response, status: 503, contentType: "application/problem+json", json });
    });
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(/\/sign-in/);
    await page.getByText("You are signed out in this browser.").waitFor();
    await page.getByText("ask an administrator to revoke the key").waitFor();
    expect(await page.getByText("Your session has ended").count()).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("signs nobody in by a link alone", async () => {
    const [mine, theirs] = [await TestAccount.open(), await TestAccount.open()];
    const { page, context } = await visit(browser);
    const signIns: string[] = [];
    page.on("request", (request) => {
      if (request.method() === "POST" && new URL(request.url()).pathname === "/v1/session") signIns.push(request.url());
    });
    await page.goto(`/sign-in#key=${theirs.key}`);
    await page.getByText("The link that you followed brought this key").waitFor();
    expect(await page.getByLabel("API key").inputValue()).toBe(theirs.key);
    expect(new URL(page.url()).hash).toBe("");
    expect(signIns).toEqual([]);
    expect(await context.cookies()).toEqual([]);

    // Nor is a session replaced by one; the visitor may leave for where they are signed in.
    await signIn(page, mine.key);
    await page.goto(`/sign-in#key=${theirs.key}`);
    await page.getByText("You are signed in already").waitFor();
    expect(signIns).toHaveLength(1);
    await page.goto("/");
    await page.getByTestId("balance-amount").waitFor();
    const session = await page.evaluate(async () => (await (await fetch("/v1/session")).json()) as { account_id: string });
    expect(session.account_id).toBe(mine.id);
    await context.close();
  });

  it("refuses a key that nobody has", async () => {
    const account = await TestAccount.open();
    const { page, context } = await visit(browser);
    await page.goto("/sign-in");
    await page.getByLabel("API key").fill(`${account.key.slice(0, -6)}AAAAAA`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator(".field-error").waitFor();
    await context.close();
  });

  it("does not let one account see another", async () => {
    const [mine, theirs] = [await TestAccount.open(), await TestAccount.open()];
    const { page, context } = await open(browser, mine.key);
    const status = await page.evaluate(async (path) => (await fetch(path)).status, `/v1/accounts/${theirs.id}/balance`);
    expect([403, 404]).toContain(status);
    await context.close();
  });

  it("lets an administrator choose an account", async () => {
    const account = await TestAccount.open({ name: "Chosen Booths" });
    const { page, context } = await visit(browser);
    await signIn(page, env.adminKey);
    await page.getByText("Choose an account").first().waitFor();
    await page.getByRole("link", { name: "the whole fleet" }).waitFor();
    await page.getByLabel("Search accounts").fill(account.id);
    await page.getByText("Chosen Booths").first().click();
    await page.getByTestId("balance-amount").waitFor();
    await context.close();
  });
});
