import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";

import { keys } from "@/api/keys";
import { detailAt } from "@/api/problem";
import { putEvent } from "@/api/queries/events";
import type { EventListed } from "@/api/types";
import { FormDialog } from "@/components/FormDialog";
import { Segmented } from "@/components/Segmented";
import { TextField, type TextFieldProps } from "@/components/TextField";
import { currencySign } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { bodyOf, draftOf, errorsOf, type EventDraft } from "./event-draft";

const { edit: words } = text.events;
const POINTERS = { name: "/name", starts: "/starts_at", ends: "/ends_at", zone: "/time_zone", budget: "/budget/amount" };
type Typed = keyof typeof POINTERS;

interface Props {
  /** Null: a new one. */
  event: EventListed | null;
  onSaved: (event: EventListed) => void;
  onClose: () => void;
}

/** Name, time and budget of an event. */
export function EventDialog({ event, onSaved, onClose }: Props) {
  const id = useId();
  const { accountId, zone, currency } = useAccount();
  const queryClient = useQueryClient();
  const [draft, setDraft] = useState(() => draftOf(event, zone, new Date()));
  // Of what is asked now: a repeat of the same is the same, a change is not.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const [shown, setShown] = useState(false);
  const errors = errorsOf(draft);
  const save = useMutation({
    mutationFn: () => putEvent(accountId, draft.eventId.trim(), bodyOf(draft), key),
    onSuccess: (saved) => {
      queryClient.setQueryData(keys.event(accountId, saved.event_id, "facts"), saved);
      for (const part of ["events", "event-names"]) {
        void queryClient.invalidateQueries({ queryKey: [...keys.account(accountId), part] });
      }
      onSaved(saved);
    },
  });
  const change = (part: Partial<EventDraft>): void => {
    save.reset();
    setKey(crypto.randomUUID());
    setDraft({ ...draft, ...part });
  };
  const field = (name: Typed, label: string, more: Partial<TextFieldProps> = {}) => (
    <TextField
      autoComplete="off"
      {...more}
      label={label}
      value={draft[name]}
      error={(shown ? errors[name] : undefined) ?? detailAt(save.error, POINTERS[name])}
      onChange={(changed) => change({ [name]: changed.target.value })}
    />
  );
  const isPlaced = detailAt(save.error, ...Object.values(POINTERS)) !== undefined;
  return (
    <FormDialog
      title={event === null ? words.new : words.title}
      submit={text.common.save}
      busy={save.isPending}
      problem={isPlaced ? null : save.error}
      onClose={onClose}
      onSubmit={() => {
        setShown(true);
        if (Object.keys(errors).length === 0) save.mutate();
      }}
    >
      {event === null ? (
        <TextField
          label={words.id}
          required
          hint={words.idHint}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={draft.eventId}
          error={shown ? errors.eventId : undefined}
          onChange={(changed) => change({ eventId: changed.target.value })}
        />
      ) : null}
      {field("name", words.name, { required: true })}
      <div className="event-form-times">
        {field("starts", words.starts, { required: true, type: "datetime-local" })}
        {field("ends", words.ends, { required: true, type: "datetime-local" })}
      </div>
      {field("zone", words.zone, { required: true, hint: words.zoneHint, list: `${id}-zones`, spellCheck: false })}
      <datalist id={`${id}-zones`}>
        {Intl.supportedValuesOf("timeZone").map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {field("budget", words.budget, { hint: words.budgetHint, inputMode: "decimal", prefix: currencySign(currency) })}
      {draft.budget.trim() === "" ? null : (
        <Segmented
          label={words.exceeded}
          value={draft.onExceeded}
          onChange={(onExceeded) => change({ onExceeded })}
          options={[
            { value: "warn", label: words.warn },
            { value: "refuse_holds", label: words.refuse },
          ]}
        />
      )}
    </FormDialog>
  );
}
