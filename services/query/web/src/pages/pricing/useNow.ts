import { useState } from "react";

/** When the component was first shown, in ms of the epoch: prices do not change phase while they are read. */
export function useNow(): number {
  const [now] = useState(() => Date.now());
  return now;
}
