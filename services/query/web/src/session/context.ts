import { createContext, useContext } from "react";

import type { Account, Session } from "@/api/types";

export interface SessionContextValue {
  session: Session;
  isAdmin: boolean;
  /** Whose pages are shown; null: an administrator has not chosen yet. */
  accountId: string | null;
  chooseAccount: (accountId: string | null) => void;
}

export const SessionContext = createContext<SessionContextValue | null>(null);

/** Null on public pages when nobody is signed in. */
export function useOptionalSession(): SessionContextValue | null {
  return useContext(SessionContext);
}

export function useSession(): SessionContextValue {
  const value = useContext(SessionContext);
  if (value === null) throw new Error("outside of a session");
  return value;
}

export interface AccountContextValue {
  accountId: string;
  account: Account;
  /** The account's zone: what dates are shown in where no event says otherwise. */
  zone: string;
  currency: string;
}

export const AccountContext = createContext<AccountContextValue | null>(null);

/** The account whose page this is; its facts are loaded. */
export function useAccount(): AccountContextValue {
  const value = useContext(AccountContext);
  if (value === null) throw new Error("outside of an account's page");
  return value;
}
