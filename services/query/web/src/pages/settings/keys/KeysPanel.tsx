import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import type { ApiKey } from "@/api/contract";
import { keys } from "@/api/keys";
import { ApiProblem } from "@/api/problem";
import { apiKeysQuery } from "@/api/queries/keys";
import { Button } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatDateTime } from "@/format";
import { useAccount, useSession } from "@/session/context";
import { text } from "@/text";

import { columnsOf } from "./columns";
import { CreateKey } from "./CreateKey";
import "./keys.css";
import { RevokeKey } from "./RevokeKey";
import { RotateKey } from "./RotateKey";

const { keys: words } = text;

type Asked = { what: "create" } | { what: "rotate" | "revoke"; key: ApiKey };

/** The account's keys; an administrator makes, rotates and revokes them. */
export function KeysPanel() {
  const { accountId, zone } = useAccount();
  const { session, isAdmin } = useSession();
  const queryClient = useQueryClient();
  const query = useInfiniteQuery(apiKeysQuery(accountId));
  const [asked, setAsked] = useState<Asked | null>(null);
  const columns = useMemo(
    () =>
      columnsOf({
        zone,
        now: query.dataUpdatedAt,
        ownKeyId: session.key_id,
        onAsk: isAdmin ? (what, key) => setAsked({ what, key }) : null,
      }),
    [zone, query.dataUpdatedAt, session.key_id, isAdmin],
  );
  // An account's own key reads them where the service lets it; elsewhere nothing is missed.
  const isHidden = query.error instanceof ApiProblem && (query.error.isMissing || query.error.status === 403);
  const reread = (): void => void queryClient.invalidateQueries({ queryKey: keys.apiKeys(accountId) });
  const close = (): void => setAsked(null);
  return (
    <Panel
      title={words.title}
      flush={!isHidden}
      actions={
        isAdmin && query.data !== undefined ? (
          <Button size="small" onClick={() => setAsked({ what: "create" })}>
            {words.add}
          </Button>
        ) : undefined
      }
    >
      {isHidden ? null : (
        <QueryState
          query={query}
          skeleton={
            <div className="list-skeleton">
              <Skeleton height="2.2rem" lines={3} />
            </div>
          }
        >
          {(data) => {
            // A service that does not know the filter lists all keys.
            const rows = data.pages.flatMap((page) => page.data).filter((key) => key.account_id === accountId);
            if (rows.length === 0) return <EmptyState title={words.empty} />;
            return <DataTable caption={words.caption} rows={rows} columns={columns} rowId={(key) => key.key_id} />;
          }}
        </QueryState>
      )}
      {query.hasNextPage ? (
        <p className="list-more">
          <Button size="small" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {text.common.loadMore}
          </Button>
        </p>
      ) : null}
      <p className={isHidden ? "muted small" : "panel-foot"}>
        {words.currentNote(session.key_id)} {words.expires(formatDateTime(session.expires_at, zone))}{" "}
        {isAdmin ? null : words.adminOnly}
      </p>
      {asked?.what === "create" ? <CreateKey onMade={reread} onClose={close} /> : null}
      {asked?.what === "rotate" ? <RotateKey old={asked.key} zone={zone} onRotated={reread} onClose={close} /> : null}
      {asked?.what === "revoke" ? (
        <RevokeKey
          asked={asked.key}
          isOwn={asked.key.key_id === session.key_id}
          onRevoked={() => {
            close();
            reread();
          }}
          onClose={close}
        />
      ) : null}
    </Panel>
  );
}
