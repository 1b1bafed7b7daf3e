import { useQuery } from "@tanstack/react-query";
import { useId, useRef, useState } from "react";

import { accountsQuery } from "@/api/queries/accounts";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { Segmented } from "@/components/Segmented";
import { TextField } from "@/components/TextField";
import { useDebounced } from "@/components/useDebounced";
import { text } from "@/text";

import { idsOf } from "./draft";

const { form: words } = text.repricings;

interface Props {
  /** Null: all with charges of the period. */
  accounts: readonly string[] | null;
  onChange: (accounts: readonly string[] | null) => void;
  error: string | undefined;
}

/** All accounts, or those that are added one after the other. */
export function AccountsField({ accounts, onChange, error }: Props) {
  return (
    <fieldset className="repricing-fieldset">
      <legend className="field-label">{words.accounts}</legend>
      <Segmented
        label={words.accounts}
        value={accounts === null ? "every" : "these"}
        onChange={(mode) => onChange(mode === "every" ? null : [])}
        options={[
          { value: "every", label: words.every },
          { value: "these", label: words.these },
        ]}
      />
      {accounts === null ? null : <Chosen accounts={accounts} onChange={onChange} />}
      {error === undefined ? null : (
        <p className="field-error" role="alert">
          <Icon name="alert" size={14} />
          {error}
        </p>
      )}
    </fieldset>
  );
}

function Chosen({ accounts, onChange }: { accounts: readonly string[]; onChange: Props["onChange"] }) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState<string | undefined>();
  const matches = useQuery(accountsQuery(useDebounced(typed.trim())));
  const add = (): void => {
    const found = idsOf(typed);
    setWrong(found.wrong);
    if (found.wrong !== undefined || found.ids.length === 0) return;
    onChange([...new Set([...accounts, ...found.ids])]);
    setTyped("");
  };
  return (
    <>
      <div className="repricing-add">
        <TextField
          label={words.account}
          hint={words.accountHint}
          list={`${id}-accounts`}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          inputRef={input}
          value={typed}
          error={wrong === undefined ? undefined : words.accountInvalid(wrong)}
          onChange={(event) => {
            setTyped(event.target.value);
            setWrong(undefined);
          }}
          // Whoever typed one and goes on to the button means it.
          onBlur={add}
          onKeyDown={(event) => {
            // In this field Enter adds what is typed; an empty one sends the form.
            if (event.key !== "Enter" || typed.trim() === "") return;
            event.preventDefault();
            add();
          }}
        />
        <Button onClick={add}>{words.add}</Button>
        <datalist id={`${id}-accounts`}>
          {matches.data?.data.map((account) => (
            <option key={account.account_id} value={account.account_id}>
              {account.name}
            </option>
          ))}
        </datalist>
      </div>
      {accounts.length === 0 ? null : (
        <ul className="repricing-chips" aria-label={words.chosen}>
          {accounts.map((account) => (
            <li key={account}>
              <button
                type="button"
                className="repricing-chip"
                aria-label={words.remove(account)}
                onClick={() => {
                  onChange(accounts.filter((one) => one !== account));
                  input.current?.focus();
                }}
              >
                <span>{account}</span>
                <Icon name="close" size={13} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
