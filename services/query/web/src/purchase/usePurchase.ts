import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useReducer, useRef } from "react";

import type { Balance } from "@/api/types";
import { keys } from "@/api/keys";
import { ApiProblem } from "@/api/problem";

import { purchase, type PurchaseEvent, type PurchaseState } from "./machine";
import { keep, kept } from "./pending";
import { cancelPurchase, sendPurchase } from "./send";

const RETRY_MS = 1_000;
const RETRY_MS_MAX = 8_000;

/** Runs the machine of machine.ts for an account: sends, waits, sends again, and puts the new balance on the page. */
export function usePurchase(accountId: string, currency: string): [PurchaseState, (event: PurchaseEvent) => void] {
  const queryClient = useQueryClient();
  const [state, dispatch] = useReducer(purchase, accountId, kept);
  const waitS = useRef<number | undefined>(undefined);

  // Before the effect that sends: what is sent stands in storage already.
  useEffect(() => keep(accountId, state), [accountId, state]);

  useEffect(() => {
    if (state.step !== "processing") return;
    let live = true;
    const wait = state.tries === 0 ? 0 : Math.min((waitS.current ?? 0) * 1000 || RETRY_MS * state.tries, RETRY_MS_MAX);
    const timer = setTimeout(() => {
      // Whatever comes of giving it up, the repeated purchase tells.
      const left = state.leave === undefined ? Promise.resolve() : cancelPurchase(accountId, state.leave).catch(() => undefined);
      left.then(() => sendPurchase(accountId, state.attempt)).then(
        ({ answer, retryAfterS }) => {
          if (!live) return;
          waitS.current = retryAfterS;
          dispatch({ type: "answered", answer, currency });
        },
        (error: unknown) => {
          if (!live) return;
          const problem = error instanceof ApiProblem ? error : new ApiProblem(0, {});
          waitS.current = problem.retryAfterS;
          dispatch({ type: "problem", problem });
        },
      );
    }, wait);
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [accountId, currency, state]);

  // The answer has the balance already: it is on the page before the stream brings it.
  useEffect(() => {
    if (state.step !== "succeeded") return;
    const { balance, seq } = state;
    if (balance !== null && seq !== null) {
      queryClient.setQueryData<Balance>(keys.balance(accountId), (old) =>
        old === undefined || old.seq >= seq ? old : { ...old, balance, seq },
      );
    }
    for (const part of ["balance", "summary", "recent", "transactions", "purchases", "forecast", "recharge"]) {
      void queryClient.invalidateQueries({ queryKey: [...keys.account(accountId), part] });
    }
  }, [accountId, queryClient, state]);

  return [state, dispatch];
}
