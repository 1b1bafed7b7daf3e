import { useRef, useState } from "react";

import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { TextField } from "@/components/TextField";
import { currencySign, formatMoney } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { AMOUNT_MAX, AMOUNT_MIN, parseAmount, type AmountError } from "./amount";
import { isClosable } from "./machine";
import "./purchase.css";
import { PurchaseDialog } from "./PurchaseDialog";
import { usePurchase } from "./usePurchase";

const { buy } = text.billing;

/** The required amount and the dark button; everything after it happens in the dialog. */
export function BuyCredits() {
  const { accountId, currency } = useAccount();
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<AmountError | null>(null);
  const [state, dispatch] = usePurchase(accountId, currency);
  const input = useRef<HTMLInputElement>(null);
  const min = formatMoney({ amount: AMOUNT_MIN, currency }, { places: "whole" });
  const max = formatMoney({ amount: AMOUNT_MAX, currency }, { places: "whole" });

  const submit = () => {
    if (state.step === "aside") {
      dispatch({ type: "ask", amount: typed });
      return;
    }
    const parsed = parseAmount(typed);
    if ("error" in parsed) {
      setError(parsed.error);
      input.current?.focus();
      return;
    }
    setError(null);
    dispatch({ type: "ask", amount: parsed.amount });
  };

  const close = () => {
    if (!isClosable(state)) return;
    if (state.step === "succeeded") setTyped("");
    dispatch({ type: "close" });
  };

  return (
    <>
      <form
        className="buy"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <div className="buy-field">
          <TextField
            label={buy.amount}
            required
            inputMode="decimal"
            autoComplete="off"
            prefix={currencySign(currency)}
            placeholder="100.00"
            inputRef={input}
            value={typed}
            error={error === null ? undefined : errorText(error, min, max)}
            hint={buy.hint(min, max)}
            onChange={(event) => {
              setTyped(event.target.value);
              // What was wrong is judged again as it is mended, not before.
              if (error !== null) {
                const parsed = parseAmount(event.target.value);
                setError("error" in parsed ? parsed.error : null);
              }
            }}
          />
        </div>
        <Button type="submit" variant="primary" className="buy-button" busy={state.step === "processing"}>
          {buy.button}
        </Button>
      </form>
      {state.step === "aside" ? (
        <p className="buy-aside" role="status">
          <Icon name="clock" size={16} />
          <span>{buy.earlier(formatMoney({ amount: state.attempt.amount, currency }))}</span>
          <Button size="small" onClick={() => dispatch({ type: "resend" })}>
            {buy.lookAgain}
          </Button>
        </p>
      ) : null}
      {state.step === "idle" || state.step === "aside" ? null : (
        <PurchaseDialog state={state} currency={currency} dispatch={dispatch} onClose={close} />
      )}
    </>
  );
}

function errorText(error: AmountError, min: string, max: string): string {
  if (error === "too_small") return buy.errors.too_small(min);
  if (error === "too_large") return buy.errors.too_large(max);
  return buy.errors[error];
}
