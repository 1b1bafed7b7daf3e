import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate, useSearchParams } from "react-router";

import { ApiProblem, detailAt } from "@/api/problem";
import { keepPreview, previewRepricing } from "@/api/queries/repricings";
import { keys } from "@/api/keys";
import type { PriceBookListed } from "@/api/types";
import { Button } from "@/components/Button";
import { ProblemPanel } from "@/components/ProblemPanel";
import { Select } from "@/components/Select";
import { TextField } from "@/components/TextField";
import { stateOf } from "@/pages/price-books/BookState";
import { daysError } from "@/pages/price-books/simulate-draft";
import { text } from "@/text";

import { AccountsField } from "./AccountsField";
import { ACCOUNTS_MAX, askedBy, readDraft, writeDraft, type Draft } from "./draft";

const { form: words } = text.repricings;

export function NewForm({ books }: { books: readonly PriceBookListed[] }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const [search, setSearch] = useSearchParams();
  const [draft, setDraft] = useState(() => readDraft(search, new Date()));
  const [shown, setShown] = useState(false);
  const newestFirst = [...books].sort((a, b) => b.version - a.version);
  const version = newestFirst.find((book) => book.version === draft.version)?.version ?? newestFirst[0]?.version ?? 0;
  const run = useMutation({
    mutationFn: () => previewRepricing(askedBy(draft, version)),
    onSuccess: (preview) => {
      keepPreview(queryClient, preview);
      void queryClient.invalidateQueries({ queryKey: [...keys.repricings, "list"] });
      void navigate(`/repricings/${preview.repricing_id}`);
    },
  });
  const change = (part: Partial<Draft>): void => {
    run.reset();
    setDraft({ ...draft, ...part });
  };
  const days = daysError(draft.first, draft.last);
  const daysSaid = days === null ? undefined : days === "long" ? words.datesLong : words.datesInvalid;
  const accounts = accountsError(draft.accounts);
  const refused = refusalOf(run.error);
  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setShown(true);
        if (run.isPending || days !== null || accounts !== undefined) return;
        // The way back leads to what was asked.
        setSearch(writeDraft({ ...draft, version }), { replace: true, preventScrollReset: true });
        run.mutate();
      }}
    >
      <div className="repricing-grid">
        <Select
          label={words.book}
          value={String(version)}
          onChange={(value) => change({ version: Number(value) })}
          options={newestFirst.map((book) => ({
            value: String(book.version),
            label: words.bookOption(String(book.version), book.currency, text.priceBooks[stateOf(book)]),
          }))}
        />
        <TextField
          label={words.first}
          type="date"
          hint={words.daysHint}
          value={draft.first}
          error={(shown ? daysSaid : undefined) ?? detailAt(run.error, "/from", "/to")}
          onChange={(event) => change({ first: event.target.value })}
        />
        <TextField label={words.last} type="date" value={draft.last} onChange={(event) => change({ last: event.target.value })} />
      </div>
      <AccountsField
        accounts={draft.accounts}
        onChange={(next) => change({ accounts: next })}
        error={(shown ? accounts : undefined) ?? detailAt(run.error, "/accounts")}
      />
      <div className="row">
        <Button type="submit" variant="primary" busy={run.isPending}>
          {words.run}
        </Button>
        <p role="status" className="muted small">
          {run.isPending ? words.running : null}
        </p>
      </div>
      {refused === null ? null : typeof refused === "string" ? (
        <p className="form-problem" role="alert">
          {refused}
        </p>
      ) : (
        <ProblemPanel error={refused} />
      )}
    </form>
  );
}

function accountsError(accounts: Draft["accounts"]): string | undefined {
  if (accounts === null) return undefined;
  if (accounts.length === 0) return words.accountsMissing;
  return accounts.length > ACCOUNTS_MAX ? words.accountsMany : undefined;
}

// What stands at no field. A book or an account that is not there is a 404 with its name, and no missing page.
function refusalOf(error: Error | null): Error | string | null {
  if (!(error instanceof ApiProblem)) return error;
  if (error.errors.length > 0) return null;
  return error.status === 404 && error.detail !== undefined ? error.detail : error;
}
