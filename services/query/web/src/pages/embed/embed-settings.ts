// What the address of an embedded widget says: which account or event, by which token, in which colours.

export const WIDGETS = ["balance", "timeline", "donut", "activity"] as const;
export type Widget = (typeof WIDGETS)[number];

export interface EmbedSettings {
  widget: Widget;
  token: string;
  accountId: string;
  eventId: string | null;
  theme: "light" | "dark" | null;
  /** What the timeline counts: activities, or what they cost. */
  measure: "count" | "amount";
  /** Custom properties by name, from colour parameters. */
  colours: Readonly<Record<string, string>>;
}

export type EmbedProblem = "widget" | "token" | "account";

const ACCOUNT_ID = /^acc_[A-Za-z0-9_-]{1,64}$/;
const EVENT_ID = /^evt_[A-Za-z0-9_-]{1,64}$/;
const TOKEN = /^[\x21-\x7e]{8,4096}$/;
// Hexadecimal digits alone: nothing else of an address gets into a style.
const HEX = /^([0-9a-f]{3}|[0-9a-f]{6})$/i;

const COLOURS: Readonly<Record<string, readonly string[]>> = {
  background: ["--bg", "--surface"],
  text: ["--text", "--text-2"],
  muted: ["--text-3", "--chart-axis"],
  border: ["--border", "--chart-grid"],
  accent: ["--accent", "--focus", "--chart-line"],
};

export function readEmbed(
  widget: string | undefined,
  search: URLSearchParams,
  hash: string,
): EmbedSettings | { problem: EmbedProblem } {
  const known = WIDGETS.find((name) => name === widget);
  if (known === undefined) return { problem: "widget" };
  const token = tokenOf(hash);
  if (token === null) return { problem: "token" };
  const accountId = search.get("account") ?? "";
  if (!ACCOUNT_ID.test(accountId)) return { problem: "account" };
  const event = search.get("event");
  const theme = search.get("theme");
  return {
    widget: known,
    token,
    accountId,
    eventId: event !== null && EVENT_ID.test(event) ? event : null,
    theme: theme === "light" || theme === "dark" ? theme : null,
    measure: search.get("measure") === "amount" ? "amount" : "count",
    colours: coloursOf(search),
  };
}

/** `#token=tbp1...` */
export function tokenOf(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("token") ?? "";
  return TOKEN.test(token) ? token : null;
}

function coloursOf(search: URLSearchParams): Record<string, string> {
  const colours: Record<string, string> = {};
  for (const [name, properties] of Object.entries(COLOURS)) {
    const value = search.get(name) ?? "";
    if (HEX.test(value)) for (const property of properties) colours[property] = `#${value}`;
  }
  return colours;
}
