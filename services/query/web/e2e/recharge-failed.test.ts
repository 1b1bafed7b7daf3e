import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TestAccount } from "./support/account";
import { seriousFindings } from "./support/axe";
import { launch, open } from "./support/browser";
import { DecliningEffects } from "./support/effects";
import { command, read, until } from "./support/http";
import { panel, plain, shown } from "./support/read";

interface Recharge {
  readonly state: string;
  readonly last_failure: { readonly reason: string } | null;
  readonly next_attempt_at: string | null;
}

let browser: Browser;
let effects: DecliningEffects;
beforeAll(async () => {
  browser = await launch();
  effects = DecliningEffects.start();
});
afterAll(async () => {
  await effects.stop();
  await browser.close();
});

const rechargeOf = (account: TestAccount): Promise<Recharge> => read<Recharge>(`/v1/accounts/${account.id}/recharge`);

async function setRule(account: TestAccount, enabled: boolean): Promise<void> {
  const rule = { enabled, threshold: "10.00", amount: "100.00" };
  await command("PUT", `/v1/accounts/${account.id}/recharge`, rule, `rule-${String(enabled)}-${account.id}`);
}

/** An account whose card declines, with a rule that is off. */
async function declined(): Promise<TestAccount> {
  const deadline = Date.now() + 90_000;
  while (Date.now() < deadline) {
    effects.mustRun();
    const account = await TestAccount.open({ credit: "5.00", name: "Declined Booths" });
    await setRule(account, true);
    const isDeclined = await until("the end of the recharge", async () => {
      const { last_failure } = await rechargeOf(account);
      if (last_failure) return true;
      // Another one's, whose card approves.
      return (await account.entries({ type: "auto_recharge" })).length > 0 ? false : null;
    });
    if (!isDeclined) continue;
    await setRule(account, false);
    return account;
  }
  throw new Error("no account's card was declined");
}

/** `Nov 21, 2026, 3:15:03 PM` in New York. */
const inNewYork = (instant: string): string =>
  plain(
    new Intl.DateTimeFormat("en-US", {
      timeZone: "America/New_York",
      year: "numeric",
      month: "short",
      day: "numeric",
      hour: "numeric",
      minute: "2-digit",
      second: "2-digit",
    }).format(new Date(instant)),
  );

describe("An auto-recharge whose card declines", () => {
  it("says so where the operator looks, why, what to do and when it is tried again, until it succeeds", async () => {
    // given Billing, open and never reloaded, with a rule that is off and an alert for its failure
    const account = await declined();
    await command("PUT", `/v1/accounts/${account.id}/alerts`, { recharge_failed: true }, `alerts-${account.id}`);
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    await page.evaluate(() => {
      document.documentElement.dataset.loaded = "once";
    });
    const recharge = panel(page, "Auto-recharge");
    const alerts = panel(page, "Alerts");
    await recharge.getByText("Off", { exact: true }).waitFor();
    await alerts.getByText("No alerts sent yet").waitFor();
    expect(await recharge.getByRole("alert").count()).toBe(0);

    // when it is switched on, below its mark
    await recharge.getByLabel("Enable auto-recharge").check();
    await recharge.getByRole("button", { name: "Save" }).click();

    // then the rule says what happened and what can be done
    await recharge.getByText("Last attempt failed", { exact: true }).waitFor({ timeout: 30_000 });
    const said = recharge.getByRole("alert");
    await said.getByText("The last attempt failed: the card was declined.").waitFor();
    await said.getByText("Save another card under Payment method, or buy credits yourself.").waitFor();
    const { state, next_attempt_at } = await rechargeOf(account);
    expect(state).toBe("failed");
    expect(Date.parse(next_attempt_at ?? "")).toBeGreaterThan(Date.now());
    expect(await shown(said)).toContain(`Next attempt ${inNewYork(next_attempt_at ?? "")}`);
    // and the alert was sent, with the reason and the balance that stayed
    const told = alerts.locator(".alert-recent tbody tr");
    await told.getByText("Auto-recharge failed: the card was declined").waitFor({ timeout: 30_000 });
    expect(await told.count()).toBe(1);
    expect(await shown(told.locator("td").nth(2))).toBe("$5.00");
    await alerts.getByText("Triggered").waitFor();
    // and no money came
    expect(await account.entries({ type: "auto_recharge" })).toEqual([]);
    await panel(page, "Buy credits").getByText("$5.00").waitFor();
    expect(await seriousFindings(page)).toEqual([]);

    // when a card that approves is there again, and the rule is saved
    await effects.stop();
    await recharge.getByRole("button", { name: "Save" }).click();
    // then it buys, and nothing is left of the failure
    await panel(page, "Buy credits").getByText("$105.00").waitFor({ timeout: 90_000 });
    await recharge.getByText("On", { exact: true }).waitFor();
    expect(await recharge.getByRole("alert").count()).toBe(0);
    await alerts.getByText("Armed").waitFor({ timeout: 30_000 });
    expect(await page.locator("html").getAttribute("data-loaded")).toBe("once");
    expect(complaints).toEqual([]);
    await context.close();
  }, 240_000);
});
