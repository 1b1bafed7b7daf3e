import { useQuery } from "@tanstack/react-query";

import { api, unwrap } from "@/api/client";
import { keys } from "@/api/keys";
import type { Transaction, TransactionDetail } from "@/api/types";
import { Instant } from "@/components/Instant";
import { MoneyText } from "@/components/MoneyText";
import { addMoney } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { typeText } from "./describe";

const { detail } = text.activity;

interface Props {
  entry: TransactionDetail;
  zone: string;
  onOpen: (entryId: string) => void;
}

/** The entries of the same operation, when there is more than one: failed tries, the charge, what gave it back. */
export function EntryChain({ entry, zone, onOpen }: Props) {
  const { accountId } = useAccount();
  const operationId = entry.operation_id ?? "";
  const { data } = useQuery({
    queryKey: keys.transactions(accountId, { operation: operationId }),
    enabled: operationId !== "",
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/accounts/{account_id}/transactions", {
          params: { path: { account_id: accountId }, query: { q: operationId, limit: 100 } },
          signal,
        }),
      ),
  });
  const chain = (data?.data ?? []).filter((row) => row.operation_id === operationId).reverse();
  if (chain.length < 2) return null;
  // Failed tries before a charge correct nothing.
  const isCorrected = chain.some((row) => row.type !== "consume");
  const title = isCorrected ? detail.chain : detail.tries;
  const net = chain.map((row) => row.amount).reduce(addMoney);
  return (
    <section className="detail-section" aria-label={title}>
      <h3>{title}</h3>
      <p className="muted small">{isCorrected ? detail.chainText : detail.triesText}</p>
      <div className="chain">
        <ol>
          {chain.map((row) => (
            <li key={row.entry_id}>
              <ChainItem row={row} zone={zone} isThis={row.entry_id === entry.entry_id} onOpen={onOpen} />
            </li>
          ))}
        </ol>
        <p className="chain-net">
          <span>{detail.chainNet}</span>
          <MoneyText money={net} places="exact" signed />
        </p>
      </div>
    </section>
  );
}

interface ItemProps {
  row: Transaction;
  zone: string;
  isThis: boolean;
  onOpen: (entryId: string) => void;
}

function ChainItem({ row, zone, isThis, onOpen }: ItemProps) {
  const body = (
    <>
      <span>{row.status === "failed" ? text.common.status.failed : typeText(row.type)}</span>
      <span className="num">
        <MoneyText money={row.amount} places="exact" signed />
      </span>
      <span className="muted">
        <Instant at={row.posted_at} zone={zone} />
      </span>
      <span className="muted num">{isThis ? detail.chainThis : null}</span>
    </>
  );
  if (isThis) return <div className="chain-item chain-item-this">{body}</div>;
  return (
    <button type="button" className="chain-item" onClick={() => onOpen(row.entry_id)}>
      {body}
    </button>
  );
}
