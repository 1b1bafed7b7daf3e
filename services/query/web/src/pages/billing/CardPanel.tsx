import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { cardQuery, setUpCard, type Card } from "@/api/queries/card";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { Panel } from "@/components/Panel";
import { ProblemPanel } from "@/components/ProblemPanel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatDate } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { ForgetCard } from "./ForgetCard";

const { card: words } = text.billing;

/** With what the account pays. A card's number is given to the provider alone, on a page of its own. */
export function CardPanel() {
  const { accountId } = useAccount();
  const query = useQuery(cardQuery(accountId));
  return (
    <Panel title={words.title} actions={query.data === undefined ? undefined : <State card={query.data} />}>
      <QueryState query={query} skeleton={<Skeleton height="2.5rem" lines={2} />}>
        {(card) => (card.kind === "sandbox" ? <p className="muted">{words.sandbox}</p> : <Saved card={card} />)}
      </QueryState>
    </Panel>
  );
}

function State({ card }: { card: Card }) {
  if (card.kind === "none") {
    return (
      <Badge tone="warning" icon="alert">
        {words.states.none}
      </Badge>
    );
  }
  if (card.kind === "sandbox" || !card.live) return <Badge icon="info">{words.states.test}</Badge>;
  return (
    <Badge tone="success" icon="check">
      {words.states.saved}
    </Badge>
  );
}

function Saved({ card }: { card: Exclude<Card, { kind: "sandbox" }> }) {
  const { accountId, zone } = useAccount();
  const [forgetting, setForgetting] = useState(false);
  const setUp = useMutation({
    mutationFn: () => setUpCard(accountId),
    onSuccess: (page) => location.assign(page),
  });
  const isSaved = card.kind === "saved";
  return (
    <div className="stack">
      <p>{isSaved ? words.saved(words.providers[card.provider] ?? card.provider, formatDate(card.setAt, zone)) : words.none}</p>
      <div className="row">
        {/* Busy until the browser has left for the other page. */}
        <Button
          variant={isSaved ? "plain" : "primary"}
          busy={setUp.isPending || setUp.isSuccess}
          onClick={() => setUp.mutate()}
        >
          {isSaved ? words.replace : words.save}
          <Icon name="external" size={15} />
        </Button>
        {isSaved ? (
          <Button variant="quiet" onClick={() => setForgetting(true)}>
            {words.forget}
          </Button>
        ) : null}
      </div>
      <p className="muted small">{words.page}</p>
      {setUp.error === null ? null : <ProblemPanel error={setUp.error} />}
      {forgetting ? <ForgetCard onClose={() => setForgetting(false)} /> : null}
    </div>
  );
}
