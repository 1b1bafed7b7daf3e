import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { keys } from "@/api/keys";
import { detailAt } from "@/api/problem";
import { putProfile } from "@/api/queries/account";
import { FormDialog } from "@/components/FormDialog";
import { Select } from "@/components/Select";
import { TextField } from "@/components/TextField";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { changeOf, draftOf, nameError, zoneOptions, type ProfileDraft } from "./profile-draft";

const { edit: words } = text.settings.account;

/** What the account is called, and its zone. */
export function ProfileDialog({ onClose }: { onClose: () => void }) {
  const { accountId, account } = useAccount();
  const queryClient = useQueryClient();
  // As it was when the form was opened: what somebody else sets meanwhile is no change of ours.
  const [before] = useState(account);
  const [draft, setDraft] = useState(() => draftOf(before));
  // Of what is asked now: a repeat of the same is the same, a change is not.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const [shown, setShown] = useState(false);
  const options = useMemo(
    () => zoneOptions(Intl.supportedValuesOf("timeZone"), account.time_zone),
    [account.time_zone],
  );
  const change = changeOf(before, draft);
  const save = useMutation({
    mutationFn: putProfile,
    onSuccess: (saved) => {
      queryClient.setQueryData(keys.facts(accountId), saved);
      // Days and months that pages have begin elsewhere now.
      void queryClient.invalidateQueries({
        queryKey: keys.account(accountId),
        predicate: (query) => query.queryKey[2] !== "facts",
      });
      onClose();
    },
  });
  const edit = (part: Partial<ProfileDraft>): void => {
    save.reset();
    setKey(crypto.randomUUID());
    setDraft({ ...draft, ...part });
  };
  const wrong = nameError(draft);
  const refused = detailAt(save.error, "/name");
  return (
    <FormDialog
      title={words.title}
      submit={text.common.save}
      busy={save.isPending}
      problem={refused === undefined ? save.error : null}
      onClose={onClose}
      onSubmit={() => {
        setShown(true);
        if (wrong !== undefined) return;
        if (change === null) onClose();
        else save.mutate({ accountId, body: change, idempotencyKey: key });
      }}
    >
      <TextField
        label={words.name}
        required
        autoComplete="off"
        value={draft.name}
        error={(shown ? wrong : undefined) ?? refused}
        onChange={(changed) => edit({ name: changed.target.value })}
      />
      <div className="stack">
        <Select label={words.zone} options={options} value={draft.zone} onChange={(zone) => edit({ zone })} />
        <p className="field-hint">{words.zoneHint}</p>
      </div>
    </FormDialog>
  );
}
