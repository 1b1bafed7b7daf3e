import type { paths } from "./schema";
import type { Money, Page } from "./types";

// Commands and lists of ingest, which query passes on for a browser that is signed in: openapi.json describes what query
// answers itself. They have the shape that openapi-typescript gives routes. What stands here wins over the generated
// types; what the document comes to have goes from here.

/** A key without what would let anybody use it. What has a `?` an older service does not say. */
export interface ApiKey {
  key_id: string;
  kind: "booth" | "account" | "admin";
  account_id: string | null;
  booth_id: string | null;
  prefix: string;
  last_four: string;
  label: string | null;
  /** Empty: everything of its kind. */
  scopes?: string[];
  created_at: string;
  expires_at?: string | null;
  revoked_at: string | null;
  /** The key that took its place when it was rotated. */
  replaced_by?: string | null;
  last_used_at?: string | null;
}

/** A key as it is answered where it is made: this once with what it is. */
export interface NewApiKey extends ApiKey {
  key: string;
}

export interface NewApiKeyBody {
  kind: "booth" | "account";
  account_id: string;
  booth_id?: string;
  label?: string;
  scopes?: string[];
  /** In seconds. */
  expires_in?: number;
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
  status: "succeeded" | "needs_action" | "pending" | "canceled";
  purchase_id?: string;
  next_action?: { url: string };
  provider?: string;
  sandbox?: boolean;
}

/** An event as a whole: what is absent is none. */
export interface EventBody {
  name: string;
  starts_at: string;
  ends_at: string;
  time_zone: string;
  budget?: { amount: string; on_exceeded: "warn" | "refuse_holds" };
}

/** What an account is called, and its zone; what is absent stays. */
export interface ProfileBody {
  name?: string;
  time_zone?: string;
}

/** What an account wants to be told of, as a whole; what is absent is not told. */
export interface AlertRulesBody {
  balance_below: string[];
  below_top_up_percent: number[];
  event_budget_percent: number[];
  recharge_failed: boolean;
  empty_in_hours: number | null;
  booth_spike: { times: number; at_least: string } | null;
}

/** Where an account is told: an address of the web, or `mailto:` and a mail address. */
export interface Webhook {
  webhook_id: string;
  url: string;
  /** Empty: all. */
  event_types: string[];
  /** Where it is new, and then this once. */
  secret?: string;
  previous_secret_until: string | null;
  created_at: string;
  /** A mail address is told of nothing before it says that it wants it. */
  confirmed: boolean;
  waiting: number;
  dead: number;
}

/** What the payment provider has for an account; a card's number is never here. */
export interface SavedCard {
  provider: string;
  /** Whether real money moves. */
  live: boolean;
  customer_id: string;
  /** Null: a customer without a card. */
  payment_method_id: string | null;
  set_at: string;
}

/** A message that was given up. */
export interface DeadDelivery {
  message_id: string;
  event_type: string;
  since: string;
  attempts: number;
  last_error: string | null;
  body: string;
}

/** What a dead letter says where the service can drive it again. */
export interface DeadLetterStanding {
  state?: "open" | "closed";
  /** Of the last try, or of the dismissal; null: there was neither. */
  redrive?: {
    outcome: string;
    reason?: string | null;
    detail?: string | null;
    note?: string | null;
    by?: string | null;
    at: string;
    entry_id?: string | null;
  } | null;
}

/** Those that are named, or the next open ones of a reason. */
export type ChosenLetters = { ids: string[] } | { reason: string; before?: string; after?: number };

/** To letters that were driven again, or dismissed. */
export interface LettersAnswer {
  open: number;
  counts: Record<string, number>;
  next_after?: number | null;
  results: { id: string; outcome: string; reason?: string | null; detail?: string | null }[];
}

export interface PublishedBook {
  version: number;
  effective_from: string;
  replayed: boolean;
}

/** What charges were, would be, and how much more the account pays: below zero it is given back. */
export interface RepricingSums {
  changes: number;
  was: Money;
  would_be: Money;
  difference: Money;
}

export const REPRICING_STATES = ["previewed", "applying", "applied", "undoing", "undone"] as const;
export type RepricingState = (typeof REPRICING_STATES)[number];

interface RepricingHead {
  repricing_id: string;
  state: RepricingState;
  price_version: number;
  from: string;
  to: string;
  /** What applying and taking back name. */
  digest: string;
  changes: number;
  created_at: string;
  actor: string;
  reason?: string;
  undo_reason?: string;
}

export interface RepricingListed extends RepricingHead {
  account_ids: string[];
  /** Null: of no account. */
  total: RepricingSums | null;
}

/** The charges of an event by an engine. */
export interface RepricingLine extends RepricingSums {
  event_id: string | null;
  service: string;
  engine: string;
  /** How many stay as they are, by why. */
  left_out: Record<string, number>;
}

export interface RepricingPreview extends RepricingHead {
  accounts: (RepricingSums & { account_id: string; as_of_seq: number; lines: RepricingLine[] })[];
}

export interface RepricingAccount extends RepricingSums {
  account_id: string;
  as_of_seq: number;
  /** Charges that were made anew, and taken back, and what the balance changed by, as far as ClickHouse has it. */
  applied: number;
  undone: number;
  posted: Money;
}

export interface Repricing extends RepricingHead {
  applied: number;
  undone: number;
  /** Where a run that was interrupted goes on. */
  next_after?: string;
  accounts: RepricingAccount[];
}

export interface NewRepricing {
  /** Absent: all with charges of the period. */
  accounts?: string[];
  from: string;
  to: string;
  price_version: number;
}

export interface RepricingRunBody {
  digest: string;
  limit: number;
  after?: string;
  reason?: string;
}

/** What became of a charge that was not posted. */
export interface RepricingResult {
  entry_id: string;
  outcome: "left_out" | "pending";
  reason?: string;
  detail?: string;
}

export interface RepricingRun {
  repricing_id: string;
  counts: Partial<Record<"posted" | "already_posted" | "left_out" | "pending", number>>;
  /** Where the next request goes on; absent: all were tried. */
  next_after?: string;
  results: RepricingResult[];
}

interface Json<T> {
  headers: Record<string, unknown>;
  content: { "application/json": T };
}

interface Command<Body, Answer, Path> {
  parameters: { query?: never; header: { "Idempotency-Key": string }; path: Path; cookie?: never };
  requestBody: { content: { "application/json": Body } };
  responses: { 200: Json<Answer>; 202: Json<Answer> };
}

/** A change of what is no ledger: it needs no Idempotency-Key. */
interface Change<Body, Answer, Path> {
  parameters: { query?: never; header?: never; cookie?: never } & ([Path] extends [never] ? { path?: never } : { path: Path });
  requestBody: { content: { "application/json": Body } };
  responses: { 200: Json<Answer>; 201: Json<Answer>; 202: Json<Answer> };
}

interface Ask<Answer, Path> {
  parameters: { query?: never; header?: never; path: Path; cookie?: never };
  requestBody?: never;
  responses: { 200: Json<Answer>; 202: Json<Answer> };
}

interface Delete<Path> {
  parameters: { query?: never; header?: never; path: Path; cookie?: never };
  requestBody?: never;
  responses: { 204: { headers: Record<string, unknown>; content?: never } };
}

/** A path of the document with a method that ingest takes. */
type With<Path extends keyof paths, Method extends string, Operation> = Omit<paths[Path], Method> &
  Record<Method, Operation>;

interface OfRepricing {
  repricing_id: string;
}
interface OfAccount {
  account_id: string;
}
interface OfKey {
  key_id: string;
}
interface OfWebhook extends OfAccount {
  webhook_id: string;
}

export interface ContractPaths {
  "/v1/keys": {
    get: {
      parameters: {
        query?: { account_id?: string; limit?: number; cursor?: string };
        header?: never;
        path?: never;
        cookie?: never;
      };
      responses: { 200: Json<Page<ApiKey>> };
    };
    post: Change<NewApiKeyBody, NewApiKey, never>;
  };
  "/v1/keys/{key_id}": { delete: Delete<OfKey> };
  "/v1/keys/{key_id}/rotate": { post: Change<{ overlap_seconds: number }, NewApiKey, OfKey> };
  "/v1/accounts/{account_id}/booths/{booth_id}": {
    put: Command<{ name: string; paused: boolean }, Posted, OfAccount & { booth_id: string }>;
  };
  "/v1/accounts/{account_id}/events/{event_id}": With<
    "/v1/accounts/{account_id}/events/{event_id}",
    "put",
    Command<EventBody, Posted, OfAccount & { event_id: string }>
  >;
  "/v1/accounts/{account_id}/recharge": With<
    "/v1/accounts/{account_id}/recharge",
    "put",
    Command<unknown, Posted, OfAccount>
  >;
  "/v1/accounts/{account_id}/profile": { put: Command<ProfileBody, Posted, OfAccount> };
  "/v1/accounts/{account_id}/alerts": With<
    "/v1/accounts/{account_id}/alerts",
    "put",
    Command<AlertRulesBody, Partial<Posted>, OfAccount>
  >;
  "/v1/accounts/{account_id}/purchases": {
    post: Command<{ amount: string; payment_method?: string }, PurchaseAnswer, OfAccount>;
  };
  "/v1/accounts/{account_id}/purchases/{purchase_id}/cancel": {
    post: Ask<PurchaseAnswer, OfAccount & { purchase_id: string }>;
  };
  "/v1/accounts/{account_id}/purchases/{purchase_id}/confirm": {
    post: Command<{ approve: boolean }, PurchaseAnswer, OfAccount & { purchase_id: string }>;
  };
  "/v1/accounts/{account_id}/payment-method": {
    get: Ask<SavedCard, OfAccount>;
    delete: Delete<OfAccount>;
  };
  "/v1/accounts/{account_id}/payment-method/setup": { post: Ask<{ url: string }, OfAccount> };
  "/v1/accounts/{account_id}/webhooks": {
    get: Ask<Page<Webhook>, OfAccount>;
    post: Change<{ url: string; event_types: string[] }, Webhook, OfAccount>;
  };
  "/v1/accounts/{account_id}/webhooks/{webhook_id}": { delete: Delete<OfWebhook> };
  "/v1/accounts/{account_id}/webhooks/{webhook_id}/rotate": { post: Ask<Webhook, OfWebhook> };
  "/v1/accounts/{account_id}/webhooks/{webhook_id}/ping": { post: Ask<{ message_id: string }, OfWebhook> };
  "/v1/accounts/{account_id}/webhooks/{webhook_id}/confirm": { post: Change<{ code: string }, Webhook, OfWebhook> };
  "/v1/accounts/{account_id}/webhooks/{webhook_id}/dead": { get: Ask<Page<DeadDelivery>, OfWebhook> };
  "/v1/accounts/{account_id}/webhooks/{webhook_id}/replay": {
    post: Change<{ message_id?: string }, { replayed: number; left: number }, OfWebhook>;
  };
  "/v1/dead-letters/redrive": { post: Change<ChosenLetters, LettersAnswer, never> };
  "/v1/dead-letters/dismiss": { post: Change<ChosenLetters & { note: string }, LettersAnswer, never> };
  "/v1/repricings": {
    get: {
      parameters: { query?: { limit?: number; cursor?: string }; header?: never; path?: never; cookie?: never };
      responses: { 200: Json<Page<RepricingListed>> };
    };
    post: Change<NewRepricing, RepricingPreview, never>;
  };
  "/v1/repricings/{repricing_id}": { get: Ask<Repricing, OfRepricing> };
  "/v1/repricings/{repricing_id}/apply": { post: Change<RepricingRunBody, RepricingRun, OfRepricing> };
  "/v1/repricings/{repricing_id}/undo": { post: Change<RepricingRunBody, RepricingRun, OfRepricing> };
  "/v1/price-books/{version}": With<
    "/v1/price-books/{version}",
    "put",
    Change<unknown, PublishedBook, { version: string }>
  >;
}
