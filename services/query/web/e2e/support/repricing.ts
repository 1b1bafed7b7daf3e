import type { TestAccount } from "./account";
import { env } from "./env";
import { send, until } from "./http";

const DAY_MS = 86_400_000;

/** The id of a re-pricing of the last days that was looked at, and not applied. */
export async function previewed(account: Pick<TestAccount, "id">, priceVersion: number): Promise<string> {
  const body = {
    accounts: [account.id],
    from: new Date(Date.now() - 30 * DAY_MS).toISOString(),
    to: new Date(Date.now() + DAY_MS).toISOString(),
    price_version: priceVersion,
  };
  // One preview at a time: while another is worked on, the service asks for a moment.
  return until("a preview", async () => {
    const answer = await send("POST", `${env.ingestUrl}/v1/repricings`, env.adminKey, body);
    return answer.status === 201 ? (answer.body as { repricing_id: string }).repricing_id : null;
  });
}
