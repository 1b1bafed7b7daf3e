import { queryOptions, type QueryClient } from "@tanstack/react-query";

import { api, setCsrfToken, unwrap } from "@/api/client";
import type { Session } from "@/api/types";
import { keys } from "@/api/keys";
import { ApiProblem } from "@/api/problem";

const SIGN_OUT_PENDING = "sign_out_pending";

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

/** How a session that the person ended has ended: everywhere, or here at once and elsewhere when the brokers answer. */
export type SignedOut = "everywhere" | "here";

/** Null: the session ended by itself, if at all, and the sign-in page says so. */
let leftByChoice: SignedOut | null = null;

export function howLeft(): SignedOut | null {
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
  leftByChoice = null;
  return session;
}

async function endSession(): Promise<void> {
  const end = () => unwrap(api.DELETE("/v1/session", { parseAs: "text" }));
  try {
    await end();
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.code !== "csrf") throw error;
    // Somebody signed in anew in another tab: it is their session that this browser has by now.
    setCsrfToken((await unwrap(api.GET("/v1/session"))).csrf_token);
    await end();
  }
}

/** Ends the session. Throws where it did not end: then this browser still has it, and its pages stay. */
export async function signOut(): Promise<SignedOut> {
  // At once: whatever else is asked meanwhile hears that the session is over.
  leftByChoice = "everywhere";
  try {
    await endSession();
  } catch (error) {
    if (!(error instanceof ApiProblem) || !(error.isSignedOut || error.code === SIGN_OUT_PENDING)) {
      leftByChoice = null;
      throw error;
    }
    if (error.code === SIGN_OUT_PENDING) leftByChoice = "here";
  }
  setCsrfToken(null);
  return leftByChoice;
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
