import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { balanceQuery } from "@/api/queries/account";
import { cardQuery } from "@/api/queries/card";
import { Button } from "@/components/Button";
import { MoneyText } from "@/components/MoneyText";
import { addMoney, formatMoney } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import type { PurchaseEvent } from "./machine";
import { PayWith } from "./PayWith";

const { buy } = text.billing;

interface Props {
  amount: string;
  dispatch: (event: PurchaseEvent) => void;
  onClose: () => void;
}

export function PurchaseConfirm({ amount, dispatch, onClose }: Props) {
  const { accountId, currency } = useAccount();
  const balance = useQuery(balanceQuery(accountId)).data?.balance;
  const card = useQuery(cardQuery(accountId)).data;
  const [method, setMethod] = useState("");
  const money = { amount, currency };
  const shown = formatMoney(money);
  return (
    <>
      <p>{buy.question(shown)}</p>
      <dl className="buy-lines">
        <dt>{buy.lines.amount}</dt>
        <dd className="num">
          <MoneyText money={money} signed />
        </dd>
        {balance === undefined ? null : (
          <>
            <dt>{buy.lines.now}</dt>
            <dd className="num">
              <MoneyText money={balance} />
            </dd>
            <dt className="buy-total">{buy.lines.after}</dt>
            <dd className="num buy-total">
              <MoneyText money={addMoney(balance, money)} />
            </dd>
          </>
        )}
        {card?.kind === "saved" ? (
          <>
            <dt>{buy.lines.method}</dt>
            <dd>{buy.savedCard}</dd>
          </>
        ) : null}
      </dl>
      <PayWith card={card} method={method} onMethod={setMethod} onLeave={onClose} />
      <p className="muted small">{buy.terms}</p>
      <div className="dialog-actions">
        <Button onClick={onClose}>{text.common.cancel}</Button>
        <Button
          variant="primary"
          autoFocus
          disabled={card?.kind === "none"}
          onClick={() =>
            dispatch({
              type: "confirm",
              key: crypto.randomUUID(),
              ...(method === "" ? {} : { paymentMethod: method }),
            })
          }
        >
          {buy.confirm(shown)}
        </Button>
      </div>
    </>
  );
}
