import { useMutation, useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";

import { detailAt } from "@/api/problem";
import { accountsQuery } from "@/api/queries/accounts";
import { pricePeriod } from "@/api/queries/price-books";
import { Select } from "@/components/Select";
import { TextField } from "@/components/TextField";
import { useDebounced } from "@/components/useDebounced";
import { addDays, isoDate } from "@/format";
import { useSession } from "@/session/context";
import { text } from "@/text";

import { PeriodResult } from "./PeriodResult";
import { daysError, isAccountId, periodOf } from "./simulate-draft";
import { SimulateForm } from "./SimulateForm";
import type { SimulateProps } from "./SimulatePanel";

const { simulate: words } = text.priceBooks;
const DAYS = 30;
const ZONE = "UTC";

/** What an account was charged in a past period, priced once more. */
export function PeriodForm({ book, draft, onProblem }: SimulateProps) {
  const id = useId();
  const session = useSession();
  const [accountId, setAccountId] = useState(session.accountId ?? "");
  const [last, setLast] = useState(() => isoDate(new Date(), ZONE));
  const [first, setFirst] = useState(() => addDays(isoDate(new Date(), ZONE), 1 - DAYS));
  const [plan, setPlan] = useState("");
  const accounts = useQuery(accountsQuery(useDebounced(accountId.trim())));
  const run = useMutation({
    mutationFn: () =>
      pricePeriod(
        { version: book.version, ...(draft === null ? {} : { draft }) },
        periodOf(accountId, first, last, plan),
      ),
    onError: (error) => void onProblem?.(error),
  });
  const change = (set: (value: string) => void) => (value: string): void => {
    run.reset();
    set(value);
  };
  const days = daysError(first, last);
  const at = (...pointers: string[]): string | undefined => detailAt(run.error, ...pointers);
  const daysSaid = days === null ? undefined : days === "long" ? words.datesLong : words.datesInvalid;
  return (
    <SimulateForm
      run={run}
      isGood={isAccountId(accountId) && days === null}
      result={run.data === undefined ? null : <PeriodResult result={run.data} />}
      fields={(shown) => (
        <>
          <TextField
            label={words.account}
            hint={words.accountHint}
            list={`${id}-accounts`}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            value={accountId}
            error={shown && !isAccountId(accountId) ? words.accountInvalid : at("/period/account_id")}
            onChange={(event) => change(setAccountId)(event.target.value)}
          />
          <datalist id={`${id}-accounts`}>
            {accounts.data?.data.map((account) => (
              <option key={account.account_id} value={account.account_id}>
                {account.name}
              </option>
            ))}
          </datalist>
          <Select
            label={words.plan}
            value={plan}
            onChange={change(setPlan)}
            options={[
              { value: "", label: words.anyPlan },
              ...book.plans.map((one) => ({ value: one.code, label: one.name })),
            ]}
          />
          <TextField
            label={words.first}
            type="date"
            hint={words.daysHint}
            value={first}
            error={(shown ? daysSaid : undefined) ?? at("/period/from", "/period/to")}
            onChange={(event) => change(setFirst)(event.target.value)}
          />
          <TextField
            label={words.last}
            type="date"
            value={last}
            onChange={(event) => change(setLast)(event.target.value)}
          />
        </>
      )}
    />
  );
}
