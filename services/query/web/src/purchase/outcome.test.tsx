import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";

import type { PurchaseState } from "./machine";
import { PurchaseOutcome } from "./PurchaseOutcome";

const ATTEMPT = { key: "k1", amount: "75.00" };

function markup(state: PurchaseState): string {
  return renderToStaticMarkup(
    <PurchaseOutcome state={state} currency="USD" dispatch={() => undefined} onClose={() => undefined} />,
  );
}

it("says that an earlier purchase is still open, and offers to look again", () => {
  const html = markup({ step: "earlier", attempt: ATTEMPT });
  expect(html).toContain("An earlier purchase of $75.00 is still open");
  expect(html).toContain("Check again");
});

it("offers to give a purchase up that waits for the payer, where it is known by its id", () => {
  const waiting: PurchaseState = { step: "needs_action", attempt: ATTEMPT, actionUrl: "https://bank.example", sandbox: false };
  expect(markup({ ...waiting, purchaseId: "pay_1" })).toContain("Cancel this purchase");
  expect(markup(waiting)).not.toContain("Cancel this purchase");
});

it("says why a repeat was turned away, and that the payment may have been taken all the same", () => {
  const html = markup({ step: "unknown", attempt: ATTEMPT, reason: "csrf" });
  expect(html).toContain("The session has changed.");
  expect(html).toContain("The payment may have gone through.");
});
