import { createContext, useContext, useSyncExternalStore } from "react";

import type { Ring } from "./ring";
import type { LiveBatch, LiveState } from "./stream";

export interface LiveStatus {
  state: LiveState;
  /** When something last came, in ms of the epoch. */
  lastEventAt: number | null;
}

export interface LiveContextValue {
  ring: Ring;
  status: { get: () => LiveStatus; subscribe: (listener: () => void) => () => void };
  /** Every gathered batch, after the caches took it. */
  subscribe: (listener: (batch: LiveBatch) => void) => () => void;
}

export const LiveContext = createContext<LiveContextValue | null>(null);

export function useLive(): LiveContextValue | null {
  return useContext(LiveContext);
}

const NEVER: LiveStatus = { state: "connecting", lastEventAt: null };

export function useLiveStatus(): LiveStatus {
  const live = useLive();
  return useSyncExternalStore(live?.status.subscribe ?? (() => () => undefined), live?.status.get ?? (() => NEVER));
}
