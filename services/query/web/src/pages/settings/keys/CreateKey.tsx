import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { ApiProblem } from "@/api/problem";
import { createKey } from "@/api/queries/keys";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Icon } from "@/components/Icon";
import { ProblemPanel } from "@/components/ProblemPanel";
import { SecretBox } from "@/components/SecretBox";
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
  const [mode, setMode] = useState<"all" | "some">("all");
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [shown, setShown] = useState(false);
  const scopes = SCOPES[kind].filter((scope) => chosen.includes(scope));
  const create = useMutation({
    mutationFn: () =>
      createKey({
        kind,
        account_id: accountId,
        ...(kind === "booth" && booth.trim() !== "" ? { booth_id: booth.trim() } : {}),
        ...(label.trim() === "" ? {} : { label: label.trim() }),
        ...(mode === "some" ? { scopes } : {}),
        ...(expiry === "" ? {} : { expires_in: Number(expiry) }),
      }),
    onSuccess: onMade,
  });
  if (create.data !== undefined) {
    return (
      <Dialog title={secret.made} onClose={onClose}>
        <p>{secret.text}</p>
        <SecretBox value={create.data.key} label={secret.label} />
        <div className="dialog-actions">
          <Button variant="primary" onClick={onClose}>
            {secret.done}
          </Button>
        </div>
      </Dialog>
    );
  }
  const refused = create.error instanceof ApiProblem ? create.error.errors : [];
  const at = (pointer: string): string | undefined => refused.find((error) => error.pointer === pointer)?.detail;
  const isPlaced = FIELDS.some((pointer) => at(pointer) !== undefined);
  const isLong = [...label.trim()].length > LABEL_MAX;
  const isEmpty = mode === "some" && scopes.length === 0;
  const scopesError = shown && isEmpty ? words.scopesMissing : at("/scopes");
  return (
    <Dialog title={words.title} onClose={onClose}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setShown(true);
          if (!isLong && !isEmpty && !create.isPending) create.mutate();
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
        <Segmented
          label={words.may}
          value={mode}
          onChange={setMode}
          options={[
            { value: "all", label: words.all },
            { value: "some", label: words.some },
          ]}
        />
        {mode === "all" ? null : (
          <fieldset className="key-scopes">
            <legend className="visually-hidden">{words.may}</legend>
            {SCOPES[kind].map((scope) => (
              <label className="check" key={scope}>
                <input
                  type="checkbox"
                  checked={chosen.includes(scope)}
                  onChange={(event) =>
                    setChosen(event.target.checked ? [...chosen, scope] : chosen.filter((one) => one !== scope))
                  }
                />
                <span>{scopeNames[scope] ?? scope}</span>
              </label>
            ))}
          </fieldset>
        )}
        {scopesError === undefined ? null : (
          <p className="field-error" role="alert">
            <Icon name="alert" size={14} />
            {scopesError}
          </p>
        )}
        {create.error === null || isPlaced ? null : <ProblemPanel error={create.error} />}
        <div className="dialog-actions">
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button type="submit" variant="primary" busy={create.isPending}>
            {words.submit}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
