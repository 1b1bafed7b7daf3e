import type { ColumnDef } from "@tanstack/react-table";

import type { ApiKey } from "@/api/contract";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Instant } from "@/components/Instant";
import { formatDateTime } from "@/format";
import { text } from "@/text";

import { hintOf, isRotatable, kindText, nameOf, scopesText, stateOf } from "./describe";

const { keys: words } = text;
const TONES = { active: "success", replaced: "warning", expired: "neutral", revoked: "neutral" } as const;
const ICONS = { active: "check", replaced: "clock", expired: "clock", revoked: "cross" } as const;

interface Options {
  zone: string;
  /** When the keys were read, in ms. */
  now: number;
  ownKeyId: string;
  /** Null: keys are only looked at. */
  onAsk: ((what: "rotate" | "revoke", key: ApiKey) => void) | null;
}

export function columnsOf({ zone, now, ownKeyId, onAsk }: Options): ColumnDef<ApiKey>[] {
  const columns: ColumnDef<ApiKey>[] = [
    {
      id: "key",
      header: words.key,
      accessorFn: nameOf,
      cell: ({ row: { original: key } }) => (
        <span className="key-name">
          <span>{key.label ?? <span className="muted">{words.unlabelled}</span>}</span>
          <code className="muted" title={key.key_id}>
            {hintOf(key)}
          </code>
        </span>
      ),
    },
    { id: "kind", header: words.kind, accessorFn: kindText },
    { id: "scopes", header: words.scopes, accessorFn: (key) => scopesText(key.scopes) },
    {
      id: "state",
      header: words.state,
      accessorFn: (key) => stateOf(key, now),
      cell: ({ row: { original: key } }) => <State apiKey={key} now={now} zone={zone} isOwn={key.key_id === ownKeyId} />,
    },
    {
      id: "used",
      header: words.lastUsed,
      accessorFn: (key) => key.last_used_at ?? "",
      cell: ({ row: { original: key } }) =>
        key.last_used_at ? <Instant at={key.last_used_at} zone={zone} /> : <span className="muted">{words.never}</span>,
    },
    {
      id: "created",
      header: words.created,
      accessorKey: "created_at",
      cell: ({ row }) => <Instant at={row.original.created_at} zone={zone} show="date" />,
    },
  ];
  if (onAsk !== null) {
    columns.push({
      id: "action",
      header: words.action,
      enableSorting: false,
      meta: { numeric: true, control: true },
      cell: ({ row: { original: key } }) => <Actions apiKey={key} now={now} onAsk={onAsk} />,
    });
  }
  return columns;
}

interface StateProps {
  apiKey: ApiKey;
  now: number;
  zone: string;
  isOwn: boolean;
}

function State({ apiKey, now, zone, isOwn }: StateProps) {
  const state = stateOf(apiKey, now);
  const ends = state === "active" || state === "replaced" ? apiKey.expires_at : null;
  return (
    <span className="key-state">
      <Badge tone={TONES[state]} icon={ICONS[state]}>
        {words[state]}
      </Badge>
      {isOwn ? <Badge tone="info">{words.thisSession}</Badge> : null}
      {ends ? <span className="muted small">{words.until(formatDateTime(ends, zone))}</span> : null}
    </span>
  );
}

interface ActionsProps {
  apiKey: ApiKey;
  now: number;
  onAsk: NonNullable<Options["onAsk"]>;
}

function Actions({ apiKey, now, onAsk }: ActionsProps) {
  const state = stateOf(apiKey, now);
  if (state === "revoked" || state === "expired") return text.common.none;
  const name = nameOf(apiKey);
  return (
    <span className="key-actions">
      {isRotatable(apiKey, now) ? (
        <Button size="small" aria-label={words.rotate.of(name)} onClick={() => onAsk("rotate", apiKey)}>
          {words.rotate.start}
        </Button>
      ) : null}
      <Button size="small" aria-label={words.revoke.of(name)} onClick={() => onAsk("revoke", apiKey)}>
        {words.revoke.start}
      </Button>
    </span>
  );
}
