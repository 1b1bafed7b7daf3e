import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { keys } from "@/api/keys";
import { ApiProblem, sentence } from "@/api/problem";
import { putAlerts } from "@/api/queries/alerts";
import type { AlertRules } from "@/api/types";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { TextField } from "@/components/TextField";
import { currencySign } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { bodyOf, draftOf, errorsOf, isSendable, LIMITS, type AlertsDraft } from "./alerts-draft";
import { MarksField } from "./MarksField";
import { SpikeFields } from "./SpikeFields";

const { form } = text.alerts;
const POINTERS = [
  "/balance_below",
  "/below_top_up_percent",
  "/event_budget_percent",
  "/empty_in_hours",
  "/booth_spike/times",
  "/booth_spike/at_least",
];

interface Props {
  rules: AlertRules | null;
  onClose: () => void;
  onSaved: (said: string) => void;
}

export function AlertsDialog({ rules, onClose, onSaved }: Props) {
  const { accountId, currency } = useAccount();
  const queryClient = useQueryClient();
  const [draft, setDraft] = useState<AlertsDraft>(() => draftOf(rules));
  const [shown, setShown] = useState(false);
  // The same rules sent again are the same command.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const save = useMutation({
    mutationFn: () => putAlerts(accountId, bodyOf(draft), key),
    onSuccess: async (alerts) => {
      if (alerts === null) void queryClient.invalidateQueries({ queryKey: keys.alerts(accountId) });
      else {
        // What was read before must not come later and put the old rules back.
        await queryClient.cancelQueries({ queryKey: keys.alerts(accountId) });
        queryClient.setQueryData(keys.alerts(accountId), alerts);
      }
      onSaved(alerts === null ? form.underWay : form.saved);
    },
  });
  const errors = errorsOf(draft);
  const visible = shown ? errors : null;
  const refused = save.error instanceof ApiProblem ? save.error : null;
  const refusedAt = (pointer: string): string | undefined =>
    refused?.errors.filter((error) => error.pointer.startsWith(pointer)).map(({ detail }) => sentence(detail))[0];
  const isPlaced = refused !== null && POINTERS.some((pointer) => refusedAt(pointer) !== undefined);
  const change = (part: Partial<AlertsDraft>): void => {
    save.reset();
    setKey(crypto.randomUUID());
    setDraft({ ...draft, ...part });
  };
  const none: readonly undefined[] = [];
  return (
    <Dialog kind="drawer" title={form.title} onClose={onClose}>
      <form
        className="stack alerts-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setShown(true);
          if (isSendable(errors)) save.mutate();
        }}
      >
        <MarksField
          legend={form.amounts}
          hint={form.amountsHint}
          lines={draft.balanceBelow}
          errors={visible?.lists.balanceBelow ?? none}
          problem={refusedAt("/balance_below")}
          linesMax={LIMITS.balanceBelow.lines}
          prefix={currencySign(currency)}
          lineLabel={form.amount}
          addLabel={form.addAmount}
          inputMode="decimal"
          onChange={(balanceBelow) => change({ balanceBelow })}
        />
        <MarksField
          legend={form.topUp}
          hint={form.topUpHint}
          lines={draft.belowTopUpPercent}
          errors={visible?.lists.belowTopUpPercent ?? none}
          problem={refusedAt("/below_top_up_percent")}
          linesMax={LIMITS.belowTopUpPercent.lines}
          unit={form.percentSign}
          lineLabel={form.percent}
          addLabel={form.addPercent}
          inputMode="numeric"
          onChange={(belowTopUpPercent) => change({ belowTopUpPercent })}
        />
        <MarksField
          legend={form.budget}
          hint={form.budgetHint}
          lines={draft.eventBudgetPercent}
          errors={visible?.lists.eventBudgetPercent ?? none}
          problem={refusedAt("/event_budget_percent")}
          linesMax={LIMITS.eventBudgetPercent.lines}
          unit={form.percentSign}
          lineLabel={form.percent}
          addLabel={form.addPercent}
          inputMode="numeric"
          onChange={(eventBudgetPercent) => change({ eventBudgetPercent })}
        />
        <div className="stack-tight">
          <label className="check">
            <input
              type="checkbox"
              checked={draft.emptySoon}
              onChange={(event) => change({ emptySoon: event.target.checked })}
            />
            <span>{form.empty}</span>
          </label>
          {draft.emptySoon ? (
            <div className="marks-hours">
              <TextField
                label={form.emptyHours}
                hint={form.emptyHint}
                inputMode="numeric"
                autoComplete="off"
                value={draft.emptyHours}
                error={visible?.emptyHours ?? refusedAt("/empty_in_hours")}
                onChange={(event) => change({ emptyHours: event.target.value })}
              />
            </div>
          ) : null}
          <SpikeFields
            draft={draft}
            timesError={visible?.spikeTimes ?? refusedAt("/booth_spike/times")}
            atLeastError={visible?.spikeAtLeast ?? refusedAt("/booth_spike/at_least")}
            onChange={change}
          />
          <label className="check">
            <input
              type="checkbox"
              checked={draft.rechargeFailed}
              onChange={(event) => change({ rechargeFailed: event.target.checked })}
            />
            <span>{form.rechargeFailed}</span>
          </label>
        </div>
        <p className="muted small">{form.fresh}</p>
        {save.error === null || isPlaced ? null : <ProblemPanel error={save.error} />}
        <div className="dialog-actions">
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button type="submit" variant="primary" busy={save.isPending}>
            {form.save}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
