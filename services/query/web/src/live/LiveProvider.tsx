import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, type ReactNode } from "react";

import { applyBatch } from "./apply";
import { LiveContext, type LiveContextValue, type LiveStatus } from "./context";
import { Refresher } from "./refresher";
import { Ring } from "./ring";
import { LiveStream, type LiveBatch } from "./stream";

// A tab nobody looks at gives its connection back after this time: browsers allow six to a server.
const HIDDEN_MS = 60_000;

interface Hub extends LiveContextValue {
  setStatus: (status: LiveStatus) => void;
  publish: (batch: LiveBatch) => void;
}

function makeHub(): Hub {
  let status: LiveStatus = { state: "connecting", lastEventAt: null };
  const statusListeners = new Set<() => void>();
  const listeners = new Set<(batch: LiveBatch) => void>();
  return {
    ring: new Ring(),
    status: {
      get: () => status,
      subscribe: (listener) => {
        statusListeners.add(listener);
        return () => statusListeners.delete(listener);
      },
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setStatus: (next) => {
      const changed = next.state !== status.state;
      // Only a change of state is news; the time is read when it is needed.
      status = changed ? next : Object.assign(status, next);
      if (changed) for (const listener of statusListeners) listener();
    },
    publish: (batch) => {
      for (const listener of listeners) listener(batch);
    },
  };
}

export interface LiveProviderProps {
  accountId: string;
  children: ReactNode;
}

/** Opens the account's stream and keeps balance, newest rows and sums current. */
export function LiveProvider({ accountId, children }: LiveProviderProps) {
  const queryClient = useQueryClient();
  // A hub an account: rows of one never reach lists of another.
  const hub = useMemo(() => ({ accountId, ...makeHub() }), [accountId]);

  useEffect(() => {
    const refresher = new Refresher(queryClient, accountId);
    const stream = new LiveStream({
      accountId,
      onBatch: (batch) => {
        applyBatch(queryClient, accountId, hub.ring, batch);
        refresher.follow(batch);
        hub.publish(batch);
      },
      onState: (state, lastEventAt) => hub.setStatus({ state, lastEventAt }),
    });
    stream.open();
    let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
    const onVisibility = () => {
      clearTimeout(hiddenTimer);
      if (document.visibilityState === "visible") stream.open();
      else hiddenTimer = setTimeout(() => stream.close(), HIDDEN_MS);
    };
    const onOffline = () => stream.lost();
    const onOnline = () => {
      if (document.visibilityState === "visible") stream.open();
    };
    document.addEventListener("visibilitychange", onVisibility);
    window.addEventListener("offline", onOffline);
    window.addEventListener("online", onOnline);
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      window.removeEventListener("offline", onOffline);
      window.removeEventListener("online", onOnline);
      clearTimeout(hiddenTimer);
      stream.close();
      refresher.stop();
    };
  }, [accountId, hub, queryClient]);

  return <LiveContext value={hub}>{children}</LiveContext>;
}
