import { queryOptions, type QueryClient } from "@tanstack/react-query";

import { api, setCsrfToken, unwrap } from "@/api/client";
import type { Session } from "@/api/types";
import { keys } from "@/api/keys";
import { ApiProblem } from "@/api/problem";

/** Who is signed in; null: nobody. */
export const sessionQuery = queryOptions({
  queryKey: keys.session,
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      const session = await unwrap(api.GET("/v1/session", { signal }));
      setCsrfToken(session.csrf_token);
      return session;
    } catch (error) {
      // A server without sessions has nobody signed in either: the public pages work, signing in says what is missing.
      if (error instanceof ApiProblem && (error.isSignedOut || error.isMissing)) return null;
      throw error;
    }
  },
  staleTime: 5 * 60_000,
});

/** Whether the person ended the session; else it ended by itself, and the sign-in page says so. */
let leftByChoice = false;

export function hasLeft(): boolean {
  return leftByChoice;
}

/**
 * Another session, or none: nothing that somebody else has seen stays in this tab. The session's own query stays: who
 * watches a query that was removed never hears of its successor.
 */
export function replaceSession(queryClient: QueryClient, session: Session | null): void {
  queryClient.setQueryData(sessionQuery.queryKey, session);
  queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionQuery.queryKey[0] });
}

export async function signIn(key: string): Promise<Session> {
  const session = await unwrap(api.POST("/v1/session", { body: { key } }));
  setCsrfToken(session.csrf_token);
  leftByChoice = false;
  return session;
}

export async function signOut(): Promise<void> {
  leftByChoice = true;
  await unwrap(api.DELETE("/v1/session", { parseAs: "text" }));
  setCsrfToken(null);
}

/**
 * The key of a sign-in link, `#key=tb_sk_...`. It fills the field and no more: a link that signed in by itself would let
 * whoever wrote it put a visitor into another's account.
 */
export function keyInFragment(location: Pick<Location, "hash">): string | null {
  const key = new URLSearchParams(location.hash.slice(1)).get("key")?.trim();
  return key === undefined || key === "" ? null : key;
}

/** Takes the fragment out of the address and of the history. */
export function clearFragment(location: Location, history: History): void {
  if (location.hash !== "") history.replaceState(history.state, "", location.pathname + location.search);
}
