import { useEffect, useRef, useState } from "react";

import { ENTRY_TYPES, STATUSES, type Service, type Status } from "@/api/types";
import { Icon } from "@/components/Icon";
import { Select, type SelectOption } from "@/components/Select";
import { TextField } from "@/components/TextField";
import { useDebounced } from "@/components/useDebounced";
import { statusText, typeText } from "@/ledger/describe";
import { text } from "@/text";

import { DateFilter } from "./DateFilter";
import type { Filters } from "./filters";

const { activity } = text;

interface Props {
  filters: Filters;
  services: readonly Service[];
  zone: string;
  onChange: (part: Partial<Filters>, replace?: boolean) => void;
}

export function FilterBar({ filters, services, zone, onChange }: Props) {
  const value = filters.service === null ? "" : `${filters.service}/${filters.engine ?? ""}`;
  return (
    <div className="filters" role="search" aria-label={activity.filters}>
      <SearchField q={filters.q} onChange={(q) => onChange({ q }, true)} />
      <Select
        label={activity.service}
        value={value}
        options={serviceOptions(services, value)}
        onChange={(chosen) => {
          const [service = "", engine = ""] = chosen.split("/");
          onChange({ service: service || null, engine: engine || null });
        }}
      />
      <DateFilter from={filters.from} to={filters.to} zone={zone} onChange={onChange} />
      <Select
        label={activity.status}
        value={filters.status ?? ""}
        options={[
          { value: "", label: activity.anyStatus },
          ...STATUSES.map((status) => ({ value: status, label: statusText(status) })),
        ]}
        onChange={(status) => onChange({ status: status === "" ? null : (status as Status) })}
      />
      <Select
        label={activity.type}
        value={filters.type ?? ""}
        options={[
          { value: "", label: activity.anyType },
          { value: "consumed", label: activity.consumed },
          { value: "added", label: activity.added },
          ...ENTRY_TYPES.map((type) => ({ value: type, label: typeText(type) })),
        ]}
        onChange={(type) => onChange({ type: type === "" ? null : type })}
      />
    </div>
  );
}

/** Searches as one types, once the typing pauses; `/` leads here from anywhere. */
function SearchField({ q, onChange }: { q: string; onChange: (q: string) => void }) {
  const [typed, setTyped] = useState(q);
  const settled = useDebounced(typed, 250);
  const shown = useRef(q);
  const input = useRef<HTMLInputElement>(null);

  // The address changed by itself (back button, cleared filters): the field follows.
  useEffect(() => {
    if (q !== shown.current) {
      shown.current = q;
      setTyped(q);
    }
  }, [q]);

  useEffect(() => {
    if (settled !== shown.current && settled === typed) {
      shown.current = settled;
      onChange(settled);
    }
  }, [settled, typed, onChange]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  return (
    <TextField
      label={activity.search}
      type="search"
      placeholder={activity.searchPlaceholder}
      prefix={<Icon name="search" size={16} />}
      autoComplete="off"
      spellCheck={false}
      maxLength={200}
      inputRef={input}
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
    />
  );
}

function serviceOptions(services: readonly Service[], value: string): SelectOption[] {
  const options: SelectOption[] = [{ value: "", label: activity.anyService }];
  for (const service of new Set(services.map((item) => item.service))) {
    const engines = services.filter((item) => item.service === service);
    const [first] = engines;
    if (first === undefined) continue;
    if (engines.length > 1) options.push({ value: `${service}/`, label: activity.allOf(first.service_name) });
    for (const item of engines) options.push({ value: `${service}/${item.engine}`, label: item.name });
  }
  // A link may name what no price book has.
  if (!options.some((option) => option.value === value)) options.push({ value, label: value.replace("/", " ") });
  return options;
}
