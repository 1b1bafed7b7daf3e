import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import type { DeadDelivery, Webhook } from "@/api/contract";
import { keys } from "@/api/keys";
import { deadDeliveriesQuery, replayDeliveries } from "@/api/queries/webhooks";
import { Button } from "@/components/Button";
import { ProblemPanel } from "@/components/ProblemPanel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatCount, formatDateTime, utcTitle } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { typeText } from "./event-types";

const { deadList: words } = text.webhooks;

interface Props {
  webhook: Webhook;
  zone: string;
  onReplayed: () => void;
}

/** Messages that were given up, with why; one or all are sent again. */
export function DeadList({ webhook, zone, onReplayed }: Props) {
  const { accountId } = useAccount();
  const queryClient = useQueryClient();
  const query = useQuery(deadDeliveriesQuery(accountId, webhook.webhook_id, webhook.dead));
  const replay = useMutation({
    mutationFn: (messageId: string | null) => replayDeliveries(accountId, webhook.webhook_id, messageId),
    onSettled: () => {
      void queryClient.invalidateQueries({ queryKey: keys.deadDeliveries(accountId, webhook.webhook_id) });
      onReplayed();
    },
  });
  return (
    <section className="dead-list" aria-label={words.title}>
      <div className="dead-head">
        <h3>{words.title}</h3>
        {(query.data?.data.length ?? 0) > 1 ? (
          <Button size="small" busy={replay.isPending} onClick={() => replay.mutate(null)}>
            {words.replayAll}
          </Button>
        ) : null}
      </div>
      <p className="muted small" role="status">
        {replay.data === undefined ? "" : words.replayed(formatCount(replay.data.replayed), replay.data.replayed === 1)}
      </p>
      {replay.error === null ? null : <ProblemPanel error={replay.error} />}
      <QueryState query={query} skeleton={<Skeleton height="4rem" lines={2} />}>
        {({ data, has_more: hasMore }) =>
          data.length === 0 ? (
            <p className="muted small">{words.empty}</p>
          ) : (
            <>
              <ul className="dead-items">
                {data.map((delivery) => (
                  <Item
                    key={delivery.message_id}
                    delivery={delivery}
                    zone={zone}
                    busy={replay.isPending}
                    onReplay={() => replay.mutate(delivery.message_id)}
                  />
                ))}
              </ul>
              {hasMore ? <p className="muted small">{words.more}</p> : null}
            </>
          )
        }
      </QueryState>
    </section>
  );
}

interface ItemProps {
  delivery: DeadDelivery;
  zone: string;
  busy: boolean;
  onReplay: () => void;
}

function Item({ delivery, zone, busy, onReplay }: ItemProps) {
  const type = typeText(delivery.event_type);
  const time = formatDateTime(delivery.since, zone);
  return (
    <li className="dead-item">
      <div className="dead-line">
        <span className="dead-type">{type}</span>
        <Button size="small" busy={busy} aria-label={words.replayOf(type, time)} onClick={onReplay}>
          {words.replay}
        </Button>
      </div>
      <p className="form-problem">{delivery.last_error ?? words.noAnswer}</p>
      <p className="muted small">
        <time dateTime={delivery.since} title={utcTitle(delivery.since)}>
          {time}
        </time>
        {" \u00b7 "}
        {words.attempts(formatCount(delivery.attempts), delivery.attempts === 1)}
      </p>
      <details>
        <summary className="small">{words.body}</summary>
        <pre className="payload">{pretty(delivery.body)}</pre>
      </details>
    </li>
  );
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
