import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import type { Repricing, RepricingResult } from "@/api/contract";
import { keys } from "@/api/keys";
import { repricingQuery, runRepricing, type Way } from "@/api/queries/repricings";

import { leftOutWith, runAll } from "./run";

const SETTLE_MS = 500;
const SETTLES_MAX = 20;

export interface Asked {
  way: Way;
  /** Null: it was said when it was begun. */
  reason: string | null;
}

export interface RunState {
  /** The last that was asked for; null: nothing yet. */
  way: Way | null;
  isRunning: boolean;
  isWaiting: boolean;
  isStopping: boolean;
  ending: "done" | "stopped" | null;
  error: Error | null;
  leftOut: readonly RepricingResult[];
  start: (asked: Asked) => void;
  stop: () => void;
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** Applies a re-pricing or takes it back, request after request, while the page that shows it is open. */
export function useRun(repricing: Repricing): RunState {
  const queryClient = useQueryClient();
  const stopped = useRef(false);
  const [isStopping, setStopping] = useState(false);
  const [isWaiting, setWaiting] = useState(false);
  const [leftOut, setLeftOut] = useState<readonly RepricingResult[]>([]);
  const { repricing_id } = repricing;
  const look = () => queryClient.fetchQuery({ ...repricingQuery(repricing_id), staleTime: 0 });

  const run = useMutation({
    mutationFn: async ({ way, reason }: Asked) => {
      let left: readonly RepricingResult[] = [];
      const ending = await runAll(startOf(repricing, way), {
        ask: (after) => runRepricing(way, repricing, { after, reason }),
        onAnswer: async (answer) => {
          left = leftOutWith(left, answer.results);
          setLeftOut(left);
          await look().catch(() => undefined);
        },
        onWaiting: setWaiting,
        pause,
        isStopped: () => stopped.current,
      });
      // ClickHouse has what was posted a moment later.
      for (let looks = 0; ending === "done" && looks < SETTLES_MAX; looks += 1) {
        if (isSettled(await look(), way, left.length)) break;
        await pause(SETTLE_MS);
      }
      return ending;
    },
    onSettled: async () => {
      setStopping(false);
      setWaiting(false);
      await queryClient.invalidateQueries({ queryKey: keys.repricings });
      // Balances, rows and sums of every account that this tab knows.
      void queryClient.invalidateQueries({ queryKey: ["account"] });
      void queryClient.invalidateQueries({ queryKey: ["accounts"] });
      void queryClient.invalidateQueries({ queryKey: ["fleet"] });
    },
  });

  useEffect(() => {
    stopped.current = false;
    return () => {
      stopped.current = true;
    };
  }, []);

  return {
    way: run.variables?.way ?? null,
    isRunning: run.isPending,
    isWaiting,
    isStopping,
    ending: run.data ?? null,
    error: run.error,
    leftOut,
    start: (asked) => {
      stopped.current = false;
      setLeftOut([]);
      run.mutate(asked);
    },
    stop: () => {
      stopped.current = true;
      setStopping(true);
    },
  };
}

/** Where a run begins: behind what was answered of the same way, or at the first charge. */
export function startOf({ state, next_after }: Repricing, way: Way): string | null {
  const isSame = way === "apply" ? state === "applying" : state === "undoing";
  return isSame ? (next_after ?? null) : null;
}

function isSettled({ applied, undone, changes }: Repricing, way: Way, leftOut: number): boolean {
  return way === "apply" ? applied + leftOut >= changes : undone + leftOut >= applied;
}
