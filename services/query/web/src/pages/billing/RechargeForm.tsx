import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { Recharge } from "@/api/types";
import { keys } from "@/api/keys";
import { detailAt } from "@/api/problem";
import { putRecharge, rechargeLanded, type RechargeRuleBody } from "@/api/queries/billing";
import { Button } from "@/components/Button";
import { Segmented } from "@/components/Segmented";
import { TextField } from "@/components/TextField";
import { currencySign, formatMoney } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { bodyOf, defaultDailyCap, draftErrors, draftOf, type Draft } from "./recharge-draft";

const { recharge } = text.billing;
const POINTERS = {
  threshold: "/threshold",
  amount: "/amount",
  target: "/target",
  dailyCap: "/daily_cap",
  monthlyCap: "/monthly_cap",
};

function capOf(draft: Draft, currency: string): string | null {
  const amount = defaultDailyCap(draft);
  return amount === null ? null : formatMoney({ amount, currency });
}

/** The rule as it was accepted, with what it has spent so far. */
function saved(known: Recharge, body: RechargeRuleBody, currency: string): Recharge {
  const money = (amount: string | null) => (amount === null ? null : { amount, currency });
  return {
    ...known,
    enabled: body.enabled,
    state: body.enabled ? (known.state === "off" ? "idle" : known.state) : "off",
    threshold: { amount: body.threshold, currency },
    amount: money(body.amount),
    target: money(body.target),
    daily_cap: money(body.daily_cap),
    monthly_cap: money(body.monthly_cap),
  };
}

export function RechargeForm({ rule }: { rule: Recharge }) {
  const { accountId, currency } = useAccount();
  const queryClient = useQueryClient();
  const [draft, setDraft] = useState<Draft>(() => draftOf(rule));
  const [shown, setShown] = useState(false);
  const save = useMutation({
    mutationFn: async () => {
      const body = bodyOf(draft);
      return { body, seq: await putRecharge(accountId, body) };
    },
    // What was accepted is shown at once; what is read is a moment behind.
    onSuccess: ({ body, seq }) => {
      const key = keys.recharge(accountId);
      queryClient.setQueryData<Recharge>(key, (known) => (known ? saved(known, body, currency) : known));
      void rechargeLanded(accountId, seq).then(() => queryClient.invalidateQueries({ queryKey: key }));
    },
  });
  const errors = draftErrors(draft, currency);
  const visible = shown ? errors : {};
  const change = (part: Partial<Draft>) => {
    save.reset();
    setDraft({ ...draft, ...part });
  };
  const field = (name: "threshold" | "amount" | "target" | "dailyCap" | "monthlyCap", label: string, hint?: string) => (
    <TextField
      label={label}
      hint={hint}
      inputMode="decimal"
      autoComplete="off"
      prefix={currencySign(currency)}
      value={draft[name]}
      error={visible[name] ?? detailAt(save.error, POINTERS[name])}
      onChange={(event) => change({ [name]: event.target.value })}
    />
  );
  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setShown(true);
        if (Object.keys(errors).length === 0) save.mutate();
      }}
    >
      <label className="check">
        <input type="checkbox" checked={draft.enabled} onChange={(event) => change({ enabled: event.target.checked })} />
        <span>{recharge.enabled}</span>
      </label>
      <div className="form-grid">
        {field("threshold", recharge.threshold)}
        {draft.mode === "amount" ? field("amount", recharge.amount) : field("target", recharge.target)}
      </div>
      <Segmented
        label={recharge.mode}
        value={draft.mode}
        onChange={(mode) => change({ mode })}
        options={[
          { value: "amount", label: recharge.modeAmount },
          { value: "target", label: recharge.modeTarget },
        ]}
      />
      <div className="form-grid">
        {field("dailyCap", recharge.dailyCap, recharge.dailyCapEmpty(capOf(draft, currency)))}
        {field("monthlyCap", recharge.monthlyCap, recharge.optional)}
      </div>
      <p className="muted small">{recharge.pace}</p>
      <div className="row">
        <Button type="submit" variant="primary" busy={save.isPending}>
          {text.common.save}
        </Button>
        <span role="status">
          {save.isSuccess ? <span className="form-note">{recharge.saved}</span> : null}
          {save.error === null ? null : <span className="form-problem">{save.error.message}</span>}
        </span>
      </div>
    </form>
  );
}
