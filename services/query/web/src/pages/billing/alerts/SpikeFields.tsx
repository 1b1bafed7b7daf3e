import { TextField } from "@/components/TextField";
import { currencySign } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import type { AlertsDraft } from "./alerts-draft";

const { form } = text.alerts;

interface Props {
  draft: AlertsDraft;
  timesError: string | undefined;
  atLeastError: string | undefined;
  onChange: (part: Partial<AlertsDraft>) => void;
}

/** Whether a booth that spends far more than it used to is told, and what that is. */
export function SpikeFields({ draft, timesError, atLeastError, onChange }: Props) {
  const { currency } = useAccount();
  return (
    <>
      <label className="check">
        <input type="checkbox" checked={draft.spike} onChange={(event) => onChange({ spike: event.target.checked })} />
        <span>{form.spike}</span>
      </label>
      {draft.spike ? (
        <div className="spike-fields">
          <TextField
            label={form.spikeTimes}
            hint={form.spikeTimesHint}
            inputMode="numeric"
            autoComplete="off"
            value={draft.spikeTimes}
            error={timesError}
            onChange={(event) => onChange({ spikeTimes: event.target.value })}
          />
          <TextField
            label={form.spikeAtLeast}
            prefix={currencySign(currency)}
            inputMode="decimal"
            autoComplete="off"
            value={draft.spikeAtLeast}
            error={atLeastError}
            onChange={(event) => onChange({ spikeAtLeast: event.target.value })}
          />
        </div>
      ) : null}
    </>
  );
}
