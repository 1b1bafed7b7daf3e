import { randomBytes } from "node:crypto";

import { command, read, send, until } from "./http";
import { env } from "./env";

export interface Work {
  readonly service: string;
  readonly engine: string;
  readonly unit: string;
  readonly quantity: string;
  readonly variant?: string;
}

export const MODIFY: Work = { service: "ai_modify", engine: "nano_banana_2", unit: "image", quantity: "1" };
export const GROK: Work = { service: "ai_modify", engine: "grok_imagine", unit: "image", quantity: "1" };
export const COMBINE: Work = { service: "ai_combine", engine: "nano_banana_2", unit: "image", quantity: "1" };
export const VIDEO: Work = { service: "ai_image_to_video", engine: "kling", unit: "second", quantity: "5" };
export const DRAW: Work = { service: "ai_draw_me", engine: "draw_me", unit: "job", quantity: "1" };
export const REMOVAL: Work = { service: "background_removal", engine: "bg_removal", unit: "image", quantity: "1" };
export const FACE: Work = { service: "face_switch", engine: "face_switch", unit: "image", quantity: "1" };
export const SMS: Work = { service: "sms", engine: "sms_us_ca", unit: "segment", quantity: "2" };
export const EDITORIAL: Work = { service: "editorial_ai", engine: "editorial", unit: "job", quantity: "1" };
export const ALL_WORK: readonly Work[] = [MODIFY, GROK, COMBINE, VIDEO, DRAW, REMOVAL, FACE, SMS, EDITORIAL];

export interface Report {
  readonly work: Work;
  readonly at?: Date;
  readonly failed?: boolean;
  readonly event?: string;
  readonly booth?: string;
}

/** A raw entry, as `/transactions` has it. */
export interface Entry {
  readonly entry_id: string;
  readonly seq: number;
  readonly type: string;
  readonly status: string;
  readonly service: string | null;
  readonly engine: string | null;
  readonly service_name: string | null;
  readonly amount: { readonly amount: string };
  readonly balance_after: { readonly amount: string };
  readonly occurred_at: string;
  readonly event_id: string | null;
  readonly operation_id: string | null;
}

export interface OpenOptions {
  readonly plan?: string;
  readonly zone?: string;
  readonly credit?: string;
  readonly name?: string;
  /** One that a price book is for. */
  readonly currency?: string;
}

interface Page {
  readonly data: Entry[];
  readonly has_more: boolean;
  readonly next_cursor?: string | null;
}

const OPENED_DAYS_AGO = 399;

/** An account that one test made and nobody else touches. */
export class TestAccount {
  private operations = 0;

  private constructor(
    readonly id: string,
    readonly key: string,
    readonly zone: string,
  ) {}

  static async open({
    plan = "payg",
    zone = "America/New_York",
    credit = "100.00",
    name = "Test Booths",
    currency = "USD",
  }: OpenOptions = {}): Promise<TestAccount> {
    const id = `acc_e2e_${randomBytes(6).toString("hex")}`;
    const opened = new Date(Date.now() - OPENED_DAYS_AGO * 86_400_000).toISOString();
    await command(
      "POST",
      "/v1/accounts",
      { account_id: id, name, plan, currency, time_zone: zone, occurred_at: opened },
      `open-${id}`,
    );
    const made = await send("POST", `${env.ingestUrl}/v1/keys`, env.adminKey, {
      kind: "account",
      account_id: id,
      label: "e2e",
    });
    if (made.status !== 201) throw new Error(`no key: ${String(made.status)} ${JSON.stringify(made.body)}`);
    const account = new TestAccount(id, (made.body as { key: string }).key, zone);
    if (credit !== "0") await account.credit(credit);
    return account;
  }

  async credit(amount: string): Promise<void> {
    const key = `credit-${String(this.operations++)}`;
    const { seq } = await command<{ seq: number }>(
      "POST",
      `/v1/accounts/${this.id}/adjustments`,
      { amount, reason: "top_up" },
      key,
    );
    await this.reached(seq);
  }

  /** Names an event and gives it dates, zone and budget; by default it is under way, in the account's zone. */
  async event(eventId: string, parts: Record<string, unknown>): Promise<void> {
    const hours = (count: number): string => new Date(Date.now() + count * 3_600_000).toISOString();
    const body = { starts_at: hours(-3), ends_at: hours(3), time_zone: this.zone, ...parts };
    await command(
      "PUT",
      `/v1/accounts/${this.id}/events/${eventId}`,
      body,
      `event-${eventId}-${String(this.operations++)}`,
    );
  }

  async refund(entryId: string): Promise<void> {
    const { seq } = await command<{ seq: number }>(
      "POST",
      `/v1/accounts/${this.id}/refunds`,
      { entry_id: entryId, reason: "blurred" },
      `refund-${entryId}`,
    );
    await this.reached(seq);
  }

  /** Reports work as a booth would, and returns once every piece of it can be read. */
  async report(reports: readonly Report[]): Promise<void> {
    const events = reports.map((report) => this.usage(report));
    const answer = await send("POST", `${env.ingestUrl}/v1/events`, env.adminKey, events, {
      "Content-Type": "application/cloudevents-batch+json",
    });
    const { accepted } = answer.body as { accepted: number };
    if (answer.status !== 202 || accepted !== events.length) throw new Error(`report: ${JSON.stringify(answer.body)}`);
    const wanted = new Set(events.map((event) => event.data.operation_id));
    await until("the reported work in the ledger", async () => {
      const have = new Set((await this.entries()).map((entry) => entry.operation_id));
      return [...wanted].every((operation) => have.has(operation)) ? true : null;
    });
  }

  /** All entries, newest first, by as many pages as it takes. */
  async entries(query: Readonly<Record<string, string>> = { include: "all" }): Promise<Entry[]> {
    const entries: Entry[] = [];
    let cursor: string | null = null;
    do {
      const search = new URLSearchParams({ ...query, limit: "200", ...(cursor === null ? {} : { cursor }) });
      const page: Page = await read<Page>(`/v1/accounts/${this.id}/transactions?${search.toString()}`);
      entries.push(...page.data);
      cursor = page.has_more ? (page.next_cursor ?? null) : null;
    } while (cursor !== null);
    return entries;
  }

  balance(): Promise<{ readonly available: { readonly amount: string } }> {
    return read(`/v1/accounts/${this.id}/balance`);
  }

  private async reached(seq: number): Promise<void> {
    await read(`/v1/accounts/${this.id}/balance?min_seq=${String(seq)}`);
  }

  private usage({ work, at = new Date(), failed = false, event = "evt_gala", booth = "bth_01" }: Report) {
    this.operations += 1;
    const operation = `op_${this.id}_${String(this.operations)}`;
    return {
      specversion: "1.0",
      id: `${operation}.1`,
      source: `/booths/${booth}`,
      type: "tollbooth.usage.v1",
      subject: this.id,
      time: at.toISOString(),
      data: {
        operation_id: operation,
        event_id: event,
        booth_id: booth,
        ...work,
        status: failed ? "failed" : "success",
        ...(failed ? { error_code: "provider_timeout" } : { provider_cost: "0.02" }),
      },
    };
  }
}
