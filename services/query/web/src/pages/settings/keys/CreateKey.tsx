import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { detailAt } from "@/api/problem";
import { createKey } from "@/api/queries/keys";
import { AllOrSome, type Chosen } from "@/components/AllOrSome";
import { Dialog } from "@/components/Dialog";
import { FormDialog } from "@/components/FormDialog";
import { SecretShown } from "@/components/SecretShown";
import { Segmented } from "@/components/Segmented";
import { Select } from "@/components/Select";
import { TextField } from "@/components/TextField";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { SCOPES } from "./describe";

const { create: words, secret, kinds, scopeNames } = text.keys;
const LABEL_MAX = 200;
const FIELDS = ["/booth_id", "/label", "/scopes", "/expires_in"];

/** Asks what the key is for; then shows it, once. */
export function CreateKey({ onMade, onClose }: { onMade: () => void; onClose: () => void }) {
  const { accountId } = useAccount();
  const [kind, setKind] = useState<"booth" | "account">("booth");
  const [booth, setBooth] = useState("");
  const [label, setLabel] = useState("");
  const [expiry, setExpiry] = useState("");
  const [chosen, setChosen] = useState<Chosen>(null);
  const [shown, setShown] = useState(false);
  // What was ticked for another kind does not go along.
  const scopes = chosen === null ? null : SCOPES[kind].filter((scope) => chosen.includes(scope));
  const create = useMutation({
    mutationFn: () =>
      createKey({
        kind,
        account_id: accountId,
        ...(kind === "booth" && booth.trim() !== "" ? { booth_id: booth.trim() } : {}),
        ...(label.trim() === "" ? {} : { label: label.trim() }),
        ...(scopes === null ? {} : { scopes }),
        ...(expiry === "" ? {} : { expires_in: Number(expiry) }),
      }),
    onSuccess: onMade,
  });
  if (create.data !== undefined) {
    return (
      <Dialog title={secret.made} onClose={onClose}>
        <SecretShown
          intro={secret.text}
          value={create.data.key}
          label={secret.label}
          done={secret.done}
          onDone={onClose}
        />
      </Dialog>
    );
  }
  const at = (pointer: string): string | undefined => detailAt(create.error, pointer);
  const isPlaced = detailAt(create.error, ...FIELDS) !== undefined;
  const isLong = [...label.trim()].length > LABEL_MAX;
  const isEmpty = scopes?.length === 0;
  return (
    <FormDialog
      title={words.title}
      submit={words.submit}
      busy={create.isPending}
      problem={isPlaced ? null : create.error}
      onClose={onClose}
      onSubmit={() => {
        setShown(true);
        if (!isLong && !isEmpty) create.mutate();
      }}
    >
      <Segmented
        label={words.kind}
        value={kind}
        onChange={setKind}
        options={(["booth", "account"] as const).map((value) => ({ value, label: kinds[value] ?? value }))}
      />
      <TextField
        label={words.label}
        hint={words.labelHint}
        autoComplete="off"
        value={label}
        error={shown && isLong ? words.labelLong : at("/label")}
        onChange={(event) => setLabel(event.target.value)}
      />
      {kind === "booth" ? (
        <TextField
          label={words.booth}
          hint={words.boothHint}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={booth}
          error={at("/booth_id")}
          onChange={(event) => setBooth(event.target.value)}
        />
      ) : null}
      <Select
        label={words.expiry}
        value={expiry}
        onChange={setExpiry}
        options={words.expiries.map(([value, name]) => ({ value, label: name }))}
      />
      <AllOrSome
        label={words.may}
        all={words.all}
        some={words.some}
        options={SCOPES[kind].map((scope) => ({ value: scope, label: scopeNames[scope] ?? scope }))}
        chosen={scopes}
        onChange={setChosen}
        error={shown && isEmpty ? words.scopesMissing : at("/scopes")}
      />
    </FormDialog>
  );
}
