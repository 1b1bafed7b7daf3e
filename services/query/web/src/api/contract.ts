import type { Balance, Money, Page } from "./types";

// Routes that openapi.json does not describe, or describes only in part (what ingest takes is passed on by query), in the
// shape openapi-typescript gives them. What stands here wins over the generated types; what the document has in full goes
// from here.

export interface Session {
  kind: "account" | "admin";
  account_id?: string | null;
  key_id: string;
  scopes?: string[];
  csrf_token: string;
  expires_at: string;
}

export interface AccountListed {
  account_id: string;
  name: string;
  plan: string;
  currency: string;
  balance: Money;
  available: Money;
  time_zone: string;
}

export type BalanceWithParts = Balance;
export type BalancePart = NonNullable<Balance["parts"]>[number];

export interface EventBudget {
  amount: Money;
  policy: "warn" | "refuse_holds";
  spent: Money;
  remaining: Money;
}

export interface EventListed {
  event_id: string;
  name: string | null;
  starts_at: string | null;
  ends_at: string | null;
  time_zone: string;
  budget: EventBudget | null;
  amount: Money;
  count: number;
  failed: number;
  first_activity_at: string | null;
  last_activity_at: string | null;
}

export interface EstimateLine {
  service: string;
  engine: string;
  variant: string | null;
  name: string;
  unit: string;
  share: string;
  count: string;
  quantity: string;
  unit_price: Money;
  amount: Money;
}

export interface Estimate {
  guests: number;
  operations_per_guest: string;
  basis: { kind: "event" | "account_30_days"; count: number };
  lines: EstimateLine[];
  total: Money;
  available: Money;
  enough: boolean;
  missing: Money | null;
}

export interface BoothListed {
  booth_id: string;
  name: string | null;
  paused: boolean;
  count: number;
  failed: number;
  amount: Money;
  last_activity_at: string | null;
}

export type ForecastMethodName = "event_pace" | "last_7_days" | "same_weekday";
export type ForecastReason = "not_enough_data" | "no_spend" | "beyond_horizon";

export interface ForecastMethod {
  method: ForecastMethodName;
  from: string;
  to: string;
  charges: number;
  amount: Money;
  per_hour: Money;
  runs_out_at: string | null;
  reason: ForecastReason | null;
}

export interface Forecast {
  as_of: string;
  seq: number;
  available: Money;
  currency: string;
  runs_out_at: string | null;
  method: ForecastMethodName | null;
  reason: ForecastReason | null;
  methods: ForecastMethod[];
}

export interface DeadLetter {
  id: string;
  reason: string;
  step: string;
  detail: string;
  source: { topic: string; partition: number; offset: number };
  at: string;
  key: string | null;
  payload_text: string | null;
  payload_base64: string;
}

export interface RechargeRule {
  enabled: boolean;
  threshold: Money;
  amount: Money | null;
  target: Money | null;
  daily_cap: Money | null;
  monthly_cap: Money | null;
}

export interface Recharge extends RechargeRule {
  state: "off" | "idle" | "in_flight" | "failed";
  last_failure: string | null;
  next_attempt_at: string | null;
  spent_today: Money;
  spent_this_month: Money;
}

export interface ApiKey {
  key_id: string;
  kind: "booth" | "account" | "admin";
  account_id: string | null;
  booth_id: string | null;
  label: string | null;
  created_at?: string | null;
  revoked_at?: string | null;
  last_four?: string | null;
}

/** The answer of a command: the entry and the balance after it. */
export interface Posted {
  account_id: string;
  seq: number;
  entry_id: string;
  amount: Money;
  balance: Money;
  held: Money;
  available: Money;
  posted_at: string;
  replayed: boolean;
}

export interface PurchaseAnswer extends Partial<Posted> {
  status: "succeeded" | "needs_action" | "pending";
  purchase_id?: string;
  next_action?: { url: string };
  provider?: string;
  sandbox?: boolean;
}

interface Json<T> {
  headers: Record<string, unknown>;
  content: { "application/json": T };
}

interface Get<Answer, Path = never, Query = never> {
  parameters: { query?: Query; header?: never; path: Path; cookie?: never };
  get: { parameters: { query?: Query; header?: never; path: Path; cookie?: never }; responses: { 200: Json<Answer> } };
}

interface Command<Body, Answer, Path> {
  parameters: { query?: never; header: { "Idempotency-Key": string }; path: Path; cookie?: never };
  requestBody: { content: { "application/json": Body } };
  responses: { 200: Json<Answer>; 202: Json<Answer> };
}

interface OfAccount {
  account_id: string;
}
interface OfEvent extends OfAccount {
  event_id: string;
}
interface Paged {
  q?: string;
  limit?: number;
  cursor?: string;
}

export interface ContractPaths {
  "/v1/session": {
    get: { parameters: { path?: never }; responses: { 200: Json<Session> } };
    post: {
      parameters: { path?: never };
      requestBody: { content: { "application/json": { key: string } } };
      responses: { 200: Json<Session> };
    };
    delete: { parameters: { path?: never }; responses: { 204: { headers: Record<string, unknown>; content?: never } } };
  };
  "/v1/accounts": {
    get: { parameters: { query?: Paged; path?: never }; responses: { 200: Json<Page<AccountListed>> } };
  };
  "/v1/dead-letters": {
    get: {
      parameters: { query?: { reason?: string; limit?: number; cursor?: string }; path?: never };
      responses: { 200: Json<Page<DeadLetter>> };
    };
  };
  "/v1/keys": {
    get: { parameters: { query?: { account_id?: string }; path?: never }; responses: { 200: Json<{ data: ApiKey[] }> } };
  };
  "/v1/accounts/{account_id}/events": Get<Page<EventListed>, OfAccount, Paged>;
  "/v1/accounts/{account_id}/events/{event_id}": Get<EventListed, OfEvent>;
  "/v1/accounts/{account_id}/events/{event_id}/estimate": Get<
    Estimate,
    OfEvent,
    { guests: number; operations_per_guest: string }
  >;
  "/v1/accounts/{account_id}/booths": Get<Page<BoothListed>, OfAccount, Paged>;
  "/v1/accounts/{account_id}/booths/{booth_id}": {
    put: Command<{ name: string | null; paused: boolean }, Posted, OfAccount & { booth_id: string }>;
  };
  "/v1/accounts/{account_id}/forecast": Get<Forecast, OfAccount, { event_id?: string }>;
  "/v1/accounts/{account_id}/recharge": Get<Recharge, OfAccount> & { put: Command<unknown, Recharge, OfAccount> };
  "/v1/accounts/{account_id}/purchases": {
    post: Command<{ amount: string; payment_method?: string }, PurchaseAnswer, OfAccount>;
  };
  "/v1/accounts/{account_id}/purchases/{purchase_id}/confirm": {
    post: Command<{ approve: boolean }, PurchaseAnswer, OfAccount & { purchase_id: string }>;
  };
}
