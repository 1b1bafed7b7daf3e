import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { accountQuery } from "@/api/queries/account";
import { Dialog } from "@/components/Dialog";
import { Icon } from "@/components/Icon";
import type { SessionContextValue } from "@/session/context";
import { text } from "@/text";

import { AccountPicker } from "./AccountPicker";

/** Whose pages these are; an administrator changes it here. */
export function AccountCard({ session }: { session: SessionContextValue }) {
  const { accountId, isAdmin, chooseAccount } = session;
  const query = useQuery({ ...accountQuery(accountId ?? ""), enabled: accountId !== null });
  const [open, setOpen] = useState(false);
  const name = accountId === null ? text.common.chooseAccount : (query.data?.name ?? accountId);
  const body = (
    <>
      <span className="account-text">
        <span className="account-name" title={name}>
          {name}
        </span>
        {accountId === null ? null : <span className="account-sub">{query.data?.plan.name ?? accountId}</span>}
      </span>
      {isAdmin ? <Icon name="chevron" size={16} /> : null}
    </>
  );
  if (!isAdmin) return <div className="account-card">{body}</div>;
  return (
    <>
      <button type="button" className="account-card" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        {body}
      </button>
      {open ? (
        <Dialog title={text.common.chooseAccount} onClose={() => setOpen(false)}>
          <AccountPicker
            current={accountId}
            onChoose={(id) => {
              chooseAccount(id);
              setOpen(false);
            }}
          />
        </Dialog>
      ) : null}
    </>
  );
}
