import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { ApiKey } from "@/api/contract";
import { rotateKey } from "@/api/queries/keys";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { SecretShown } from "@/components/SecretShown";
import { Select } from "@/components/Select";
import { formatDateTime } from "@/format";
import { text } from "@/text";

import { nameOf } from "./describe";

const { rotate: words, secret } = text.keys;
const DAY_S = "86400";

interface Props {
  old: ApiKey;
  zone: string;
  onRotated: () => void;
  onClose: () => void;
}

/** Asks how long both keys are taken; then shows the new one, once. */
export function RotateKey({ old, zone, onRotated, onClose }: Props) {
  const [overlap, setOverlap] = useState<string>(DAY_S);
  const rotate = useMutation({
    mutationFn: () => rotateKey(old.key_id, Number(overlap)),
    onSuccess: onRotated,
  });
  if (rotate.data !== undefined) {
    const ends = new Date(Date.parse(rotate.data.created_at) + Number(overlap) * 1000).toISOString();
    return (
      <Dialog title={secret.rotated} onClose={onClose}>
        <SecretShown
          intro={secret.text}
          value={rotate.data.key}
          label={secret.label}
          note={overlap === "0" ? null : secret.overlap(formatDateTime(ends, zone))}
          done={secret.done}
          onDone={onClose}
        />
      </Dialog>
    );
  }
  return (
    <Dialog title={words.question(nameOf(old))} onClose={onClose}>
      <p>{words.text}</p>
      <Select
        label={words.overlap}
        hideLabel
        value={overlap}
        onChange={setOverlap}
        options={words.overlaps.map(([value, label]) => ({ value, label }))}
      />
      {rotate.error === null ? null : <ProblemPanel error={rotate.error} />}
      <div className="dialog-actions">
        <Button onClick={onClose}>{text.common.cancel}</Button>
        <Button variant="primary" busy={rotate.isPending} onClick={() => rotate.mutate()}>
          {words.confirm}
        </Button>
      </div>
    </Dialog>
  );
}
