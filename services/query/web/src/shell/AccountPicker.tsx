import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { accountsQuery } from "@/api/queries/accounts";
import { Icon } from "@/components/Icon";
import { MoneyText } from "@/components/MoneyText";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { TextField } from "@/components/TextField";
import { useDebounced } from "@/components/useDebounced";
import { formatCount } from "@/format";
import { text } from "@/text";

import { AccountById } from "./AccountById";

/** Search among all accounts; by id where the server has no list of them. */
export function AccountPicker({ current, onChoose }: { current: string | null; onChoose: (accountId: string) => void }) {
  const [q, setQ] = useState("");
  const query = useQuery(accountsQuery(useDebounced(q.trim())));
  if (query.error !== null && query.data === undefined) return <AccountById onChoose={onChoose} />;
  return (
    <>
      <TextField
        label={text.common.searchAccounts}
        hideLabel
        type="search"
        placeholder={text.common.searchAccounts}
        prefix={<Icon name="search" size={16} />}
        value={q}
        onChange={(event) => setQ(event.target.value)}
      />
      <QueryState query={query} skeleton={<Skeleton height="2.75rem" lines={5} />}>
        {(page) =>
          page.data.length === 0 ? (
            <p className="muted small">{text.common.noAccounts}</p>
          ) : (
            <>
            <ul className="account-list">
              {page.data.map((account) => (
                <li key={account.account_id}>
                  <button
                    type="button"
                    className="account-option"
                    aria-current={account.account_id === current || undefined}
                    onClick={() => onChoose(account.account_id)}
                  >
                    <span className="account-text">
                      <span className="account-name">{account.name}</span>
                      <span className="account-sub">{account.account_id}</span>
                    </span>
                    <MoneyText money={account.balance} />
                  </button>
                </li>
              ))}
            </ul>
            {page.has_more ? <p className="muted small">{text.common.moreAccounts(formatCount(page.data.length))}</p> : null}
            </>
          )
        }
      </QueryState>
    </>
  );
}
