import { useState } from "react";

/** Holds a list still while it is paused; `waiting` is how many rows came meanwhile. */
export function usePausable<T>(rows: readonly T[], seqOf: (row: T) => number) {
  const [held, setHeld] = useState<readonly T[] | null>(null);
  const top = held?.[0];
  const waiting = held === null ? 0 : rows.filter((row) => top === undefined || seqOf(row) > seqOf(top)).length;
  return {
    rows: held ?? rows,
    paused: held !== null,
    waiting,
    toggle: () => setHeld(held === null ? rows : null),
  };
}
