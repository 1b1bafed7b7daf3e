import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";

import type { ApiKey } from "@/api/contract";
import { apiKeysQuery } from "@/api/queries/booths";
import { Badge } from "@/components/Badge";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatDateTime } from "@/format";
import { useAccount, useSession } from "@/session/context";
import { text } from "@/text";

const { keys: words } = text.settings;

export function KeysPanel() {
  const { zone } = useAccount();
  const { session, isAdmin } = useSession();
  return (
    <Panel title={words.title} flush={isAdmin}>
      {isAdmin ? <KeyList /> : null}
      <p className={isAdmin ? "panel-foot" : "muted small"}>
        {words.currentNote(session.key_id)} {words.expires(formatDateTime(session.expires_at, zone))}{" "}
        {isAdmin ? null : words.adminOnly}
      </p>
    </Panel>
  );
}

function KeyList() {
  const { accountId } = useAccount();
  const query = useQuery(apiKeysQuery(accountId));
  return (
    <QueryState
      query={query}
      skeleton={
        <div className="ledger-skeleton">
          <Skeleton height="2.2rem" lines={3} />
        </div>
      }
    >
      {({ data }) => {
        // A server that does not know the filter lists all keys.
        const rows = data.filter((key) => key.account_id === accountId);
        if (rows.length === 0) return <EmptyState title={words.empty} />;
        return <DataTable caption={words.caption} rows={rows} columns={COLUMNS} rowId={(key) => key.key_id} />;
      }}
    </QueryState>
  );
}

const COLUMNS: ColumnDef<ApiKey>[] = [
  { id: "label", header: words.label, accessorFn: (key) => key.label ?? text.common.none },
  { id: "kind", header: words.kind, accessorFn: (key) => words.kinds[key.kind] ?? key.kind },
  { id: "booth", header: words.booth, accessorFn: (key) => key.booth_id ?? text.common.none },
  {
    id: "id",
    header: words.id,
    accessorKey: "key_id",
    cell: ({ row }) => <code>{row.original.key_id}</code>,
  },
  {
    id: "state",
    header: words.state,
    accessorFn: (key) => (key.revoked_at ? 1 : 0),
    cell: ({ row }) =>
      row.original.revoked_at ? (
        <Badge icon="cross">{words.revoked}</Badge>
      ) : (
        <Badge tone="success" icon="check">
          {words.active}
        </Badge>
      ),
  },
];
