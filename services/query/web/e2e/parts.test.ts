import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MODIFY, TestAccount } from "./support/account";
import { launch, open } from "./support/browser";
import { command, read } from "./support/http";
import { dollars, micro } from "./support/money";
import { panel, shown } from "./support/read";

const BATCHES = 4;

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("The balance breakdown", () => {
  it("adds up at every moment while charges come, and comes to the balance behind them", async () => {
    // given purchased credits and a bonus, and a page that watches its own figures
    const account = await TestAccount.open({ credit: "20.00" });
    const expires_at = new Date(Date.now() + 30 * 86_400_000).toISOString();
    await command("POST", `/v1/accounts/${account.id}/bonuses`, { amount: "5.00", expires_at, reason: "welcome" }, `bonus-${account.id}`);
    const { page, context, complaints } = await open(browser, account.key, "/billing");
    const parts = panel(page, "Balance breakdown");
    await parts.getByText("Bonus credits").first().waitFor();
    await page.evaluate(() => {
      const seen = globalThis as unknown as { looks: number; wrong: string[] };
      seen.looks = 0;
      seen.wrong = [];
      const list = document.querySelector(".parts");
      const look = (): void => {
        const amounts = [...document.querySelectorAll(".parts dd")].map((cell) =>
          Math.round(Number((cell.textContent ?? "").replace("\u2212", "-").replace(/[$,]/g, "")) * 100),
        );
        const total = amounts.pop();
        seen.looks += 1;
        if (amounts.reduce((sum, one) => sum + one, 0) !== total) seen.wrong.push(`${amounts.join(" + ")} = ${String(total)}`);
      };
      new MutationObserver(look).observe(list?.parentElement ?? document.body, {
        childList: true,
        subtree: true,
        characterData: true,
      });
    });

    for (let batch = 0; batch < BATCHES; batch += 1) {
      // when charges stream in, at last beyond the bonus
      await account.report(Array.from({ length: 12 }, () => ({ work: MODIFY })));
      // then the figures come to the balance,
      const { available } = await read<{ available: { amount: string } }>(`/v1/accounts/${account.id}/balance`);
      await expect.poll(() => shown(parts.locator(".part-total dd"))).toBe(dollars(micro(available.amount)));
    }
    // and none on the way was wrong.
    const { looks, wrong } = await page.evaluate(() => {
      const { looks, wrong } = globalThis as unknown as { looks: number; wrong: string[] };
      return { looks, wrong };
    });
    expect(wrong).toEqual([]);
    expect(looks).toBeGreaterThanOrEqual(BATCHES);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
