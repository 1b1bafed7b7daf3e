import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { Webhook } from "@/api/contract";
import { ApiProblem } from "@/api/problem";
import { createWebhook } from "@/api/queries/webhooks";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Icon } from "@/components/Icon";
import { ProblemPanel } from "@/components/ProblemPanel";
import { Segmented } from "@/components/Segmented";
import { TextField } from "@/components/TextField";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { EVENT_TYPES, toUrl, typesToSend, typeText } from "./event-types";
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
  const [mode, setMode] = useState<"all" | "some">("all");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useState(false);
  const [made, setMade] = useState<Webhook | null>(null);
  const create = useMutation({
    mutationFn: () =>
      createWebhook(accountId, { url: toUrl(url), event_types: mode === "all" ? [] : typesToSend(chosen) }),
    onSuccess: (webhook) => {
      setMade(webhook);
      onMade();
    },
  });
  if (made !== null) {
    return (
      <Dialog title={secret.added} onClose={onClose}>
        <SecretOnce webhook={made} onDone={onClose} />
      </Dialog>
    );
  }
  const refused = create.error instanceof ApiProblem ? create.error : null;
  const refusedUrl = refused?.errors.find((error) => error.pointer === "/url")?.detail;
  const urlError = shown && url.trim() === "" ? words.urlMissing : refusedUrl;
  const nothing = mode === "some" && chosen.size === 0;
  return (
    <Dialog title={words.title} onClose={onClose}>
      <form
        className="webhook-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setShown(true);
          if (url.trim() !== "" && !nothing && !create.isPending) create.mutate();
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
          error={urlError}
          onChange={(event) => {
            create.reset();
            setUrl(event.target.value);
          }}
        />
        <Segmented
          label={words.what}
          value={mode}
          onChange={setMode}
          options={[
            { value: "all", label: words.all },
            { value: "some", label: words.some },
          ]}
        />
        {mode === "all" ? null : (
          <fieldset className="webhook-types">
            <legend className="visually-hidden">{words.types}</legend>
            {EVENT_TYPES.map((type) => (
              <label className="check" key={type}>
                <input
                  type="checkbox"
                  checked={chosen.has(type)}
                  onChange={(event) => setChosen(toggled(chosen, type, event.target.checked))}
                />
                <span>{typeText(type)}</span>
              </label>
            ))}
            {shown && nothing ? (
              <p className="field-error" role="alert">
                <Icon name="alert" size={14} />
                {words.typesMissing}
              </p>
            ) : null}
          </fieldset>
        )}
        {create.error === null || refusedUrl !== undefined ? null : <ProblemPanel error={create.error} />}
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

function toggled(chosen: ReadonlySet<string>, type: string, on: boolean): ReadonlySet<string> {
  const next = new Set(chosen);
  if (on) next.add(type);
  else next.delete(type);
  return next;
}
