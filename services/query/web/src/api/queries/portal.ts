import { api, unwrap } from "../client";

export interface PortalTokenBody {
  account_id: string;
  event_id?: string;
  ttl_s: number;
}

/** A token for a page outside of the dashboard: this once. */
export function makePortalToken(body: PortalTokenBody): Promise<{ token: string; expires_at: string }> {
  return unwrap(api.POST("/v1/portal-tokens", { body }));
}
