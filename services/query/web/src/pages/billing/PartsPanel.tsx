import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { formatTime } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { PartsList } from "./PartsList";
import { useParts } from "./useParts";

/** What the balance is made of, as of one moment. */
export function PartsPanel() {
  const { accountId, zone } = useAccount();
  const query = useParts(accountId);
  const asOf = query.data === undefined ? undefined : text.common.asOf(formatTime(query.data.as_of, zone));
  return (
    <Panel title={text.billing.parts.title} note={asOf}>
      <QueryState query={query} skeleton={<Skeleton height="2rem" lines={3} />}>
        {(balance) => <PartsList balance={balance} zone={zone} />}
      </QueryState>
    </Panel>
  );
}
