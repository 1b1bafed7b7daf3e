// Keys of the query cache. All that belongs to one account begins with `["account", id]`, so that a resync can drop it.
export const keys = {
  session: ["session"] as const,
  accounts: (q: string) => ["accounts", q] as const,
  account: (id: string) => ["account", id] as const,
  facts: (id: string) => ["account", id, "facts"] as const,
  balance: (id: string) => ["account", id, "balance"] as const,
  /** The balance with what it is made of, all of one entry. */
  parts: (id: string) => ["account", id, "parts"] as const,
  summary: (id: string, query: unknown) => ["account", id, "summary", query] as const,
  usage: (id: string, query: unknown) => ["account", id, "usage", query] as const,
  transactions: (id: string, query: unknown) => ["account", id, "transactions", query] as const,
  /** What was bought, given and taken, as Billing lists it. */
  purchases: (id: string) => ["account", id, "purchases"] as const,
  /** `query` tells lists of an event apart. */
  recent: (id: string, eventId: string | null) => ["account", id, "recent", eventId] as const,
  transaction: (id: string, entryId: string) => ["account", id, "transaction", entryId] as const,
  events: (id: string, query: unknown) => ["account", id, "events", query] as const,
  eventNames: (id: string) => ["account", id, "event-names"] as const,
  event: (id: string, eventId: string, part: string, query?: unknown) =>
    ["account", id, "event", eventId, part, query ?? null] as const,
  booths: (id: string, query?: unknown) => ["account", id, "booths", query ?? null] as const,
  forecast: (id: string, eventId?: string) => ["account", id, "forecast", eventId ?? null] as const,
  alerts: (id: string) => ["account", id, "alerts"] as const,
  webhooks: (id: string) => ["account", id, "webhooks"] as const,
  deadDeliveries: (id: string, webhookId: string) => ["account", id, "dead-deliveries", webhookId] as const,
  card: (id: string) => ["account", id, "card"] as const,
  recharge: (id: string) => ["account", id, "recharge"] as const,
  apiKeys: (id: string | null) => ["keys", id] as const,
  services: ["services"] as const,
  priceBooks: ["price-books"] as const,
  priceBook: (version: number | "current", currency?: string) => ["price-books", version, currency ?? null] as const,
  repricings: ["repricings"] as const,
  repricing: (id: string) => ["repricings", "one", id] as const,
  repricingPreview: (id: string) => ["repricings", "preview", id] as const,
  fleetUsage: (query: unknown) => ["fleet", "usage", query] as const,
  drift: ["fleet", "drift"] as const,
  deadLetters: (query: unknown) => ["fleet", "dead-letters", query] as const,
};
