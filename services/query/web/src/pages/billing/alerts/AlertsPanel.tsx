import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";

import { alertsQuery } from "@/api/queries/alerts";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import "@/components/data-table.css";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import "./alerts.css";
import { AlertsDialog } from "./AlertsDialog";
import { ruleLines } from "./describe";
import { RecentAlerts } from "./RecentAlerts";
import { RulesList } from "./RulesList";

const { alerts: words } = text;

/** What the account wants to be told of, how that stands, and what it was told. */
export function AlertsPanel() {
  const { accountId, zone } = useAccount();
  const query = useQuery(alertsQuery(accountId));
  const [editing, setEditing] = useState(false);
  const [note, setNote] = useState("");
  const edit = (): void => {
    setNote("");
    setEditing(true);
  };
  return (
    <Panel
      title={words.title}
      flush
      actions={
        // Where there is nothing to edit, the empty panel has the way in.
        query.data === undefined || ruleLines(query.data.states, query.data.rules ?? null).length === 0 ? undefined : (
          <Button size="small" onClick={edit}>
            {words.edit}
          </Button>
        )
      }
    >
      <p className="alerts-note" role="status">
        {note}
      </p>
      <QueryState
        query={query}
        skeleton={
          <div className="list-skeleton">
            <Skeleton height="2.2rem" lines={4} />
          </div>
        }
      >
        {(data) => {
          const lines = ruleLines(data.states, data.rules ?? null);
          return (
            <>
              {lines.length === 0 ? (
                <EmptyState
                  icon="info"
                  title={words.empty}
                  actions={
                    <Button size="small" variant="primary" onClick={edit}>
                      {words.set}
                    </Button>
                  }
                >
                  {words.emptyText}
                </EmptyState>
              ) : (
                <RulesList lines={lines} zone={zone} />
              )}
              {lines.length === 0 && data.recent.length === 0 ? null : (
                <RecentAlerts recent={data.recent} zone={zone} />
              )}
              <p className="panel-foot">
                {words.intro} {words.where} <Link to="/settings#webhooks">{words.whereLink}</Link>.
              </p>
            </>
          );
        }}
      </QueryState>
      {editing && query.data !== undefined ? (
        <AlertsDialog
          rules={query.data.rules ?? null}
          onClose={() => setEditing(false)}
          onSaved={(said) => {
            setEditing(false);
            setNote(said);
          }}
        />
      ) : null}
    </Panel>
  );
}
