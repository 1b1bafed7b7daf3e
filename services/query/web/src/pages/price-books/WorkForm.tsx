import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { detailAt } from "@/api/problem";
import { presentBookQuery, priceWork, type PricedWork } from "@/api/queries/price-books";
import { Select } from "@/components/Select";
import { TextField } from "@/components/TextField";
import { text } from "@/text";

import { isCount, isCounted, isQuantity, workOf, type WorkChoice } from "./simulate-draft";
import { SimulateForm } from "./SimulateForm";
import type { SimulateProps } from "./SimulatePanel";
import { WorkResult } from "./WorkResult";

const { simulate: words } = text.priceBooks;

export interface WorkAnswer {
  /** What was priced. */
  work: { quantity: string; unit: string };
  mine: PricedWork;
  /** Null: no book of the currency is in force; undefined: the book itself is. */
  present: PricedWork | null | undefined;
}

/** A piece of work, priced by the book and by the one in force. */
export function WorkForm({ book, draft, choices, onProblem }: SimulateProps & { choices: readonly WorkChoice[] }) {
  const present = useQuery(presentBookQuery(book.currency));
  const [key, setKey] = useState("");
  const [plan, setPlan] = useState("");
  const [quantity, setQuantity] = useState("1");
  const [counted, setCounted] = useState("0");
  const choice = choices.find((one) => one.key === key) ?? choices[0];
  const planCode = book.plans.some((one) => one.code === plan) ? plan : (book.plans[0]?.code ?? "");
  const run = useMutation({
    mutationFn: async (): Promise<WorkAnswer> => {
      if (choice === undefined) throw new Error("no work is chosen");
      const work = workOf(choice.price, planCode, quantity, counted);
      const mine = priceWork({ version: book.version, ...(draft === null ? {} : { draft }) }, work);
      const now = present.data;
      if (!now) return { work, mine: await mine, present: null };
      if (draft === null && now.version === book.version) return { work, mine: await mine, present: undefined };
      const [own, other] = await Promise.all([mine, priceWork({ version: now.version }, work)]);
      return { work, mine: own, present: other };
    },
    onError: (error) => void onProblem?.(error),
  });
  const change = (set: (value: string) => void) => (value: string): void => {
    run.reset();
    set(value);
  };
  const isTiered = choice !== undefined && isCounted(choice.price);
  const at = (pointer: string): string | undefined => detailAt(run.error, pointer);
  return (
    <SimulateForm
      run={run}
      busy={present.isPending}
      isGood={isQuantity(quantity) && (!isTiered || isCount(counted))}
      result={
        run.data === undefined ? null : (
          <WorkResult answer={run.data} book={book} isDraft={draft !== null} present={present.data ?? null} />
        )
      }
      fields={(shown) => (
        <>
          <Select
            label={words.row}
            value={choice?.key ?? ""}
            onChange={change(setKey)}
            options={choices.map((one) => ({ value: one.key, label: one.name }))}
          />
          <Select
            label={words.plan}
            value={planCode}
            onChange={change(setPlan)}
            options={book.plans.map((one) => ({ value: one.code, label: one.name }))}
          />
          <TextField
            label={words.quantity}
            inputMode="decimal"
            autoComplete="off"
            value={quantity}
            error={shown && !isQuantity(quantity) ? words.quantityInvalid : at("/work/quantity")}
            onChange={(event) => change(setQuantity)(event.target.value)}
          />
          {isTiered ? (
            <TextField
              label={words.counted}
              hint={words.countedHint}
              inputMode="decimal"
              autoComplete="off"
              value={counted}
              error={shown && !isCount(counted) ? words.quantityInvalid : at("/work/counted_before")}
              onChange={(event) => change(setCounted)(event.target.value)}
            />
          ) : null}
        </>
      )}
    />
  );
}
