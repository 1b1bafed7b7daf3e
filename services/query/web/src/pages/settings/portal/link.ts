/** What a link shows: an event as a whole, or a widget of the account. */
export type Shows = "event" | "balance" | "timeline" | "donut" | "activity";
export const SHOWS: readonly Shows[] = ["event", "balance", "timeline", "donut", "activity"];

export interface Link {
  origin: string;
  shows: Shows;
  accountId: string;
  /** Where an event is shown. */
  eventId: string;
  theme: "system" | "light" | "dark";
  token: string;
}

const EVENT_ID = /^evt_[A-Za-z0-9_-]{1,64}$/;

export function isEventId(typed: string): boolean {
  return EVENT_ID.test(typed.trim());
}

/** The address of the page. The token stands in the fragment: it is sent to no server, and is in no log. */
export function linkOf({ origin, shows, accountId, eventId, theme, token }: Link): string {
  const search = new URLSearchParams({ account: accountId });
  if (shows === "event") search.set("event", eventId);
  if (theme !== "system") search.set("theme", theme);
  const widget = shows === "event" ? "donut" : shows;
  return `${origin}/embed/${widget}?${search.toString()}#${new URLSearchParams({ token }).toString()}`;
}

export function frameOf(link: string, title: string): string {
  const attribute = (value: string): string => value.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return `<iframe src="${attribute(link)}" title="${attribute(title)}" width="400" height="420" style="border: 0"></iframe>`;
}
