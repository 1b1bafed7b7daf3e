import { text } from "@/text";

const { webhooks: words } = text;

/** What an endpoint can be told of. */
export const EVENT_TYPES = [
  "alert.balance_below",
  "alert.below_top_up_percent",
  "alert.event_budget",
  "alert.recharge_failed",
  "alert.empty_soon",
  "alert.booth_spike",
  "recharge.failed",
  "purchase.succeeded",
] as const;

const ALERTS = "alert.*";
const isAlert = (type: string): boolean => type.startsWith("alert.");

/** A type as people read it; a newer one by its code. */
export function typeText(type: string): string {
  return words.types[type] ?? type;
}

/** What an endpoint is sent, in a few words. */
export function typesText(types: readonly string[]): string {
  return types.length === 0 ? words.everything : types.map(typeText).join(", ");
}

/** All alerts are named as such, so that an endpoint is told of kinds that come later as well. */
export function typesToSend(chosen: ReadonlySet<string>): string[] {
  const alerts = EVENT_TYPES.filter(isAlert);
  const others = EVENT_TYPES.filter((type) => !isAlert(type) && chosen.has(type));
  return alerts.every((type) => chosen.has(type))
    ? [ALERTS, ...others]
    : EVENT_TYPES.filter((type) => chosen.has(type));
}

/** A mail address has no secret and no requests. */
export function isMail(url: string): boolean {
  return url.startsWith("mailto:");
}

/** What people type without thinking of schemes: an address of mail or of the web. */
export function toUrl(typed: string): string {
  const value = typed.trim();
  if (/^[a-z][a-z0-9+.-]*:/i.test(value)) return value;
  return value.includes("@") && !value.includes("/") ? `mailto:${value}` : `https://${value}`;
}
