import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "react-router";

import type { Webhook } from "@/api/contract";
import { keys } from "@/api/keys";
import { webhooksQuery } from "@/api/queries/webhooks";
import { Button } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { EmptyState } from "@/components/EmptyState";
import { Instant } from "@/components/Instant";
import { ListPanel, ofPage } from "@/components/ListPanel";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { CreateDialog } from "./CreateDialog";
import { DeliveryState } from "./DeliveryState";
import { typesText } from "./event-types";
import { WebhookDrawer } from "./WebhookDrawer";
import "./webhooks.css";

const { webhooks: words } = text;

/** Where the account is told: endpoints are added, looked after and deleted. */
export function WebhooksPanel() {
  const { accountId, zone } = useAccount();
  const queryClient = useQueryClient();
  const query = useQuery(webhooksQuery(accountId));
  const [creating, setCreating] = useState(false);
  const [openId, setOpenId] = useState<string | null>(null);
  const columns = useMemo(() => columnsOf(zone, setOpenId), [zone]);
  const box = useRef<HTMLDivElement>(null);
  const { hash } = useLocation();
  // The page's code comes after the address: the browser has found nothing to scroll to.
  useEffect(() => {
    if (hash === "#webhooks") box.current?.scrollIntoView();
  }, [hash]);
  const reread = (): void => void queryClient.invalidateQueries({ queryKey: keys.webhooks(accountId) });
  const open = query.data?.data.find((webhook) => webhook.webhook_id === openId);
  return (
    <div id="webhooks" className="anchor" ref={box}>
      <ListPanel
        title={words.title}
        query={query}
        rowsOf={ofPage<Webhook>}
        lines={3}
        empty={
          <EmptyState icon="info" title={words.empty}>
            {words.emptyText}
          </EmptyState>
        }
        actions={
          query.data === undefined ? undefined : (
            <Button size="small" onClick={() => setCreating(true)}>
              {words.add}
            </Button>
          )
        }
        after={
          <>
            {creating ? <CreateDialog onMade={reread} onClose={() => setCreating(false)} /> : null}
            {open === undefined ? null : (
              <WebhookDrawer webhook={open} zone={zone} onChanged={reread} onClose={() => setOpenId(null)} />
            )}
          </>
        }
      >
        {(rows) => (
          <>
            <DataTable caption={words.caption} rows={rows} columns={columns} rowId={(row) => row.webhook_id} />
            <p className="panel-foot">{words.docs}</p>
          </>
        )}
      </ListPanel>
    </div>
  );
}

function columnsOf(zone: string, onOpen: (webhookId: string) => void): ColumnDef<Webhook>[] {
  return [
    {
      id: "url",
      header: words.url,
      accessorKey: "url",
      cell: ({ row }) => <code className="webhook-url">{row.original.url}</code>,
    },
    { id: "events", header: words.events, accessorFn: (row) => typesText(row.event_types) },
    {
      id: "state",
      header: words.state,
      accessorFn: (row) => row.dead * 10_000 + row.waiting,
      cell: ({ row }) => <DeliveryState webhook={row.original} />,
    },
    {
      id: "created",
      header: words.created,
      accessorKey: "created_at",
      cell: ({ row }) => <Instant at={row.original.created_at} zone={zone} show="date" />,
    },
    {
      id: "manage",
      header: words.manage,
      enableSorting: false,
      meta: { numeric: true, control: true },
      cell: ({ row }) => (
        <Button size="small" aria-label={words.manageOf(row.original.url)} onClick={() => onOpen(row.original.webhook_id)}>
          {words.manage}
        </Button>
      ),
    },
  ];
}
