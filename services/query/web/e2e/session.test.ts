import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
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
    await page.getByLabel("Search accounts").fill(account.id);
    await page.getByText("Chosen Booths").first().click();
    await page.getByTestId("balance-amount").waitFor();
    await context.close();
  });
});
