import { Icon } from "@/components/Icon";
import { useEventNames } from "@/ledger/useEventNames";
import { text } from "@/text";

import { isFiltered, NO_FILTERS, type Filters } from "./filters";

const { activity } = text;

/** What came by a link (an event, a booth) and has no field of its own, and the way back to everything. */
export function FilterChips({ filters, onChange }: { filters: Filters; onChange: (part: Partial<Filters>) => void }) {
  const eventName = useEventNames();
  if (!isFiltered(filters)) return null;
  return (
    <div className="chips">
      {filters.event === null ? null : (
        <Chip label={`${activity.event} ${eventName(filters.event)}`} onRemove={() => onChange({ event: null })} />
      )}
      {filters.booth === null ? null : (
        <Chip label={`${activity.booth} ${filters.booth}`} onRemove={() => onChange({ booth: null })} />
      )}
      <button type="button" className="chip" onClick={() => onChange(NO_FILTERS)}>
        {activity.clear}
        <Icon name="close" size={13} />
      </button>
    </div>
  );
}

function Chip({ label, onRemove }: { label: string; onRemove: () => void }) {
  return (
    <button type="button" className="chip" aria-label={activity.remove(label)} onClick={onRemove}>
      {label}
      <Icon name="close" size={13} />
    </button>
  );
}
