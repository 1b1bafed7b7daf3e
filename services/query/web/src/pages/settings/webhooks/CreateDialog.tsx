import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { createWebhook } from "@/api/queries/webhooks";
import { AllOrSome, type Chosen } from "@/components/AllOrSome";
import { Dialog } from "@/components/Dialog";
import { FormDialog } from "@/components/FormDialog";
import { TextField } from "@/components/TextField";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { EVENT_TYPES, toUrl, typesToSend, typeText } from "./event-types";
import { refusedAddress, refusedOtherwise } from "./refusal";
import { SecretOnce } from "./SecretOnce";

const { create: words, secret } = text.webhooks;

interface Props {
  onMade: () => void;
  onClose: () => void;
}

/** Asks where and of what; then shows the secret, once. */
export function CreateDialog({ onMade, onClose }: Props) {
  const { accountId } = useAccount();
  const [url, setUrl] = useState("");
  const [chosen, setChosen] = useState<Chosen>(null);
  const [shown, setShown] = useState(false);
  const create = useMutation({
    mutationFn: () =>
      createWebhook(accountId, { url: toUrl(url), event_types: chosen === null ? [] : typesToSend(new Set(chosen)) }),
    onSuccess: onMade,
  });
  if (create.data !== undefined) {
    return (
      <Dialog title={secret.added} onClose={onClose}>
        <SecretOnce webhook={create.data} onDone={onClose} />
      </Dialog>
    );
  }
  const refusedUrl = refusedAddress(create.error);
  const isEmpty = chosen?.length === 0;
  return (
    <FormDialog
      title={words.title}
      submit={words.submit}
      busy={create.isPending}
      problem={refusedUrl === null ? refusedOtherwise(create.error) : null}
      onClose={onClose}
      onSubmit={() => {
        setShown(true);
        if (url.trim() !== "" && !isEmpty) create.mutate();
      }}
    >
      <TextField
        label={words.url}
        required
        type="text"
        inputMode="url"
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        hint={words.urlHint}
        value={url}
        error={shown && url.trim() === "" ? words.urlMissing : (refusedUrl ?? undefined)}
        onChange={(event) => {
          create.reset();
          setUrl(event.target.value);
        }}
      />
      <AllOrSome
        label={words.what}
        all={words.all}
        some={words.some}
        options={EVENT_TYPES.map((type) => ({ value: type, label: typeText(type) }))}
        chosen={chosen}
        onChange={setChosen}
        error={shown && isEmpty ? words.typesMissing : undefined}
      />
    </FormDialog>
  );
}
