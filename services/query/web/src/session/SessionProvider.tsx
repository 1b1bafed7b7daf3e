import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import { useSearchParams } from "react-router";

import { accountOf, storeAccount, storedAccount } from "./account-choice";
import { SessionContext, type SessionContextValue } from "./context";
import { sessionQuery } from "./session";

/** Gives the session, if there is one, to what stands below. */
export function SessionProvider({ children, loading }: { children: ReactNode; loading: ReactNode }) {
  const query = useQuery(sessionQuery);
  const queryClient = useQueryClient();
  const [search, setSearch] = useSearchParams();
  const linked = accountOf(search);
  // Links with an account come from outside: they are the first thing a tab opens.
  const [chosen, setChosen] = useState<string | null>(() => linked ?? storedAccount());

  const chooseAccount = useCallback((accountId: string | null) => {
    storeAccount(accountId);
    setChosen(accountId);
  }, []);

  useEffect(() => {
    if (linked === null) return;
    storeAccount(linked);
    setSearch(
      (before) => {
        const rest = new URLSearchParams(before);
        rest.delete("account");
        return rest;
      },
      { replace: true },
    );
  }, [linked, setSearch]);

  // A 401 anywhere ends the session here: its key was revoked, or it ran out.
  useEffect(() => {
    return queryClient.getQueryCache().subscribe((event) => {
      if (event.type !== "updated" || event.action.type !== "error") return;
      const error: unknown = event.action.error;
      if (error instanceof Error && "isSignedOut" in error && error.isSignedOut === true) {
        queryClient.setQueryData(sessionQuery.queryKey, null);
      }
    });
  }, [queryClient]);

  const session = query.data;
  const value = useMemo<SessionContextValue | null>(() => {
    if (session === undefined || session === null) return null;
    const isAdmin = session.kind === "admin";
    return { session, isAdmin, accountId: isAdmin ? chosen : (session.account_id ?? null), chooseAccount };
  }, [session, chosen, chooseAccount]);

  if (query.isPending) return loading;
  return <SessionContext value={value}>{children}</SessionContext>;
}
