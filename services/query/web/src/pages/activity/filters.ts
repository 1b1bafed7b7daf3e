import { ENTRY_TYPES, STATUSES, type Status, type Transaction } from "@/api/types";
import type { TransactionsQuery } from "@/api/queries/transactions";
import { isDay } from "@/components/daterange/period";
import { addDays } from "@/format";

// What the Activity page is narrowed to. It lives in the address: a link shows the same, and the back button undoes.

export interface Filters {
  q: string;
  /** Service and engine codes; an engine only with its service. */
  service: string | null;
  engine: string | null;
  /** "consumed" and "added" stand for several types. */
  type: string | null;
  status: Status | null;
  /** Local days of the account's zone, both inclusive. */
  from: string | null;
  to: string | null;
  event: string | null;
  booth: string | null;
}

export const NO_FILTERS: Filters = {
  q: "",
  service: null,
  engine: null,
  type: null,
  status: null,
  from: null,
  to: null,
  event: null,
  booth: null,
};

const CODE = /^[a-z0-9_]{1,64}$/;
const EVENT_ID = /^evt_[A-Za-z0-9_-]{1,64}$/;
const BOOTH_ID = /^bth_[A-Za-z0-9_-]{1,64}$/;
const Q_CHARS_MAX = 200;

/** Types that add to the balance, and those that take from it. */
export const TYPE_GROUPS: Readonly<Record<string, readonly string[]>> = {
  consumed: ["consume", "plan_fee", "bonus_expiry", "repriced"],
  added: ["purchase", "auto_recharge", "bonus", "refund", "reversal"],
};

/** The filters an address names; what it mangles is left out, so that every link opens. */
export function readFilters(search: URLSearchParams): Filters {
  const get = (name: string, good: (value: string) => boolean): string | null => {
    const value = search.get(name);
    return value !== null && good(value) ? value : null;
  };
  const service = get("service", (value) => CODE.test(value));
  const from = get("from", isDay);
  const to = get("to", isDay);
  const ordered = from === null || to === null || from <= to;
  return {
    q: (search.get("q") ?? "").slice(0, Q_CHARS_MAX),
    service,
    engine: service === null ? null : get("engine", (value) => CODE.test(value)),
    type: get("type", (value) => value in TYPE_GROUPS || ENTRY_TYPES.some((type) => type === value)),
    status: get("status", (value) => STATUSES.some((status) => status === value)) as Status | null,
    from: ordered ? from : null,
    to: ordered ? to : null,
    event: get("event", (value) => EVENT_ID.test(value)),
    booth: get("booth", (value) => BOOTH_ID.test(value)),
  };
}

/** The address of these filters; parameters that are none of theirs stay. */
export function writeFilters(search: URLSearchParams, filters: Filters): URLSearchParams {
  const next = new URLSearchParams(search);
  for (const [name, value] of Object.entries(filters) as [string, string | null][]) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
  }
  return next;
}

export function isFiltered(filters: Filters): boolean {
  return Object.values(filters).some((value) => value !== null && value !== "");
}

/** As the API asks for them: a half-open range, repeated types. */
export function toQuery(filters: Filters, zone: string): TransactionsQuery {
  const query: TransactionsQuery = {};
  const q = filters.q.trim();
  if (q !== "") query.q = q;
  if (filters.service !== null) query.service = [filters.service];
  if (filters.engine !== null) query.engine = [filters.engine];
  if (filters.type !== null) {
    query.type = [...(TYPE_GROUPS[filters.type] ?? [filters.type])] as NonNullable<TransactionsQuery["type"]>;
  }
  if (filters.status !== null) query.status = [filters.status];
  if (filters.event !== null) query.event_id = [filters.event];
  if (filters.booth !== null) query.booth_id = [filters.booth];
  if (filters.from !== null) query.from = filters.from;
  if (filters.to !== null) query.to = addDays(filters.to, 1);
  if (filters.from !== null || filters.to !== null) query.tz = zone;
  return query;
}

/** The address of the same rows as a file. */
export function csvAddress(accountId: string, query: TransactionsQuery, zone: string): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, tz: zone })) {
    if (name === "limit") continue;
    for (const item of Array.isArray(value) ? value : [value]) search.append(name, String(item));
  }
  return `/v1/accounts/${encodeURIComponent(accountId)}/transactions.csv?${search.toString()}`;
}

/** Whether a row that just arrived belongs to the list. `at` turns an instant into a local day. */
export function matches(row: Transaction, filters: Filters, dayOf: (instant: string) => string): boolean {
  const types = filters.type === null ? null : (TYPE_GROUPS[filters.type] ?? [filters.type]);
  const day = dayOf(row.occurred_at);
  return (
    (filters.service === null || row.service === filters.service) &&
    (filters.engine === null || row.engine === filters.engine) &&
    (types === null || types.includes(row.type)) &&
    (filters.status === null || row.status === filters.status) &&
    (filters.event === null || row.event_id === filters.event) &&
    (filters.booth === null || row.booth_id === filters.booth) &&
    (filters.from === null || day >= filters.from) &&
    (filters.to === null || day <= filters.to) &&
    matchesWords(row, filters.q)
  );
}

function matchesWords(row: Transaction, q: string): boolean {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const texts = [row.service, row.engine, row.service_name, row.event_id, row.booth_id, row.operation_id]
    .filter((value) => value !== null && value !== undefined)
    .map((value) => value.toLowerCase());
  return words.every((word) => texts.some((value) => value.includes(word)));
}
