import { useQuery } from "@tanstack/react-query";
import { useMemo, type ReactNode } from "react";

import { accountQuery } from "@/api/queries/account";
import { PageSkeleton } from "@/components/PageSkeleton";
import { ProblemPanel } from "@/components/ProblemPanel";

import { AccountContext, type AccountContextValue } from "./context";

/** Loads the account's facts (name, zone, currency, plan) before its pages, which all need them. */
export function AccountProvider({ accountId, children }: { accountId: string; children: ReactNode }) {
  const query = useQuery(accountQuery(accountId));
  const account = query.data;
  const value = useMemo<AccountContextValue | null>(
    () =>
      account === undefined
        ? null
        : { accountId, account, zone: account.time_zone, currency: account.currency },
    [accountId, account],
  );
  if (value !== null) return <AccountContext value={value}>{children}</AccountContext>;
  if (query.error !== null) return <ProblemPanel error={query.error} onRetry={() => void query.refetch()} />;
  return <PageSkeleton />;
}
