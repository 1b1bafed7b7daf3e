import type { ApiKey } from "@/api/contract";
import { text } from "@/text";

const { keys: words } = text;

export type KeyState = "active" | "replaced" | "expired" | "revoked";

/** How a key stands. One that was replaced is still taken, until it ends. */
export function stateOf(key: ApiKey, now: number): KeyState {
  if (key.revoked_at !== null) return "revoked";
  if (key.expires_at && Date.parse(key.expires_at) <= now) return "expired";
  return key.replaced_by ? "replaced" : "active";
}

/** `tb_sk_live_…x9Qw`: as much of a key as tells it from others. */
export function hintOf(key: ApiKey): string {
  return `${key.prefix}_\u2026${key.last_four}`;
}

/** What people call a key: its label, else what it looks like. */
export function nameOf(key: ApiKey): string {
  return key.label ?? hintOf(key);
}

export function kindText(key: ApiKey): string {
  return key.booth_id === null ? (words.kinds[key.kind] ?? key.kind) : words.ofBooth(key.booth_id);
}

export function scopesText(scopes: readonly string[] | undefined): string {
  if (scopes === undefined || scopes.length === 0) return words.everything;
  return scopes.map((scope) => words.scopeNames[scope] ?? scope).join(", ");
}

/** What a key of a kind can be narrowed to. */
export const SCOPES: Readonly<Record<"booth" | "account", readonly string[]>> = {
  booth: ["usage", "holds"],
  account: ["read", "purchases", "settings", "portal_tokens"],
};

/** An older service knows neither scopes nor rotation, and does not list them. */
export function isRotatable(key: ApiKey, now: number): boolean {
  return key.scopes !== undefined && stateOf(key, now) === "active";
}
