import type { QueryClient } from "@tanstack/react-query";

import { accountQuery, balanceQuery, forecastQuery } from "@/api/queries/account";

import { storedAccount } from "./account-choice";
import { sessionQuery } from "./session";

/**
 * Asks who is signed in before anything is drawn, and then at once for what the account's pages begin with: each of these
 * waits for the one before, so that nothing else may come between.
 */
export function askEarly(queryClient: QueryClient): void {
  void queryClient.fetchQuery(sessionQuery).then(
    (session) => {
      const accountId = session?.kind === "admin" ? storedAccount() : (session?.account_id ?? null);
      if (accountId === null) return;
      void queryClient.prefetchQuery(accountQuery(accountId));
      void queryClient.prefetchQuery(balanceQuery(accountId));
      if (location.pathname === "/") void queryClient.prefetchQuery(forecastQuery(accountId));
    },
    // The page that asks for the session says what is wrong.
    () => undefined,
  );
}
