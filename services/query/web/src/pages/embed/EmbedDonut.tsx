import { useQuery } from "@tanstack/react-query";

import { usageQuery } from "@/api/queries/usage";
import type { Usage } from "@/api/types";
import { Donut } from "@/charts/Donut";
import type { DonutItem } from "@/charts/donut-data";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { EmbedHead } from "./EmbedHead";
import { noteOf, useMonth } from "./useMonth";

/** This month of the account. */
export function EmbedDonut() {
  const { accountId, currency } = useAccount();
  const range = useMonth();
  const query = useQuery(
    usageQuery(accountId, {
      from: range.from,
      to: range.to,
      tz: range.tz,
      bucket: "month",
      group_by: "engine",
    }),
  );
  return (
    <>
      <EmbedHead title={text.embed.head.donut} note={noteOf(range)} />
      <QueryState query={query} skeleton={<Skeleton height="16rem" />}>
        {(usage) => <Donut items={itemsOf(usage)} currency={currency} label={text.embed.widgets.donut} />}
      </QueryState>
    </>
  );
}

// The donut adds up what has the same key.
function itemsOf(usage: Usage): DonutItem[] {
  return usage.buckets
    .flatMap((bucket) => bucket.groups)
    .map((group) => ({
      key: group.key ?? "",
      label: group.name ?? group.key ?? "",
      amount: group.amount.amount,
      count: group.count,
    }));
}
