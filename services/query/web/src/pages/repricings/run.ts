import type { RepricingResult, RepricingRun } from "@/api/contract";
import { ApiProblem } from "@/api/problem";

/** How often in a row it is asked again for what passes by itself. */
const TRIES_MAX = 5;
const PAUSE_S = 2;

export interface RunPorts {
  ask: (after: string | null) => Promise<RepricingRun>;
  /** After each answer. */
  onAnswer: (answer: RepricingRun) => Promise<void> | void;
  onWaiting: (isWaiting: boolean) => void;
  pause: (ms: number) => Promise<void>;
  isStopped: () => boolean;
}

/**
 * Asks until all charges were tried, or it is stopped: each request behind the last place up to which everything was
 * answered. What was lost on the way is asked for again from there, and is posted once all the same.
 *
 * @throws what does not pass by itself.
 */
export async function runAll(start: string | null, ports: RunPorts): Promise<"done" | "stopped"> {
  let after = start;
  let tries = 0;
  const wait = async (seconds: number): Promise<void> => {
    ports.onWaiting(true);
    await ports.pause(seconds * 1000);
    ports.onWaiting(false);
  };
  while (!ports.isStopped()) {
    let answer: RepricingRun;
    try {
      answer = await ports.ask(after);
    } catch (error) {
      tries += 1;
      if (!(error instanceof ApiProblem) || !error.isTransient || tries > TRIES_MAX) throw error;
      await wait(error.retryAfterS ?? PAUSE_S);
      continue;
    }
    await ports.onAnswer(answer);
    if (answer.next_after === undefined) return "done";
    // The same place again: nothing was answered this time.
    tries = answer.next_after === after ? tries + 1 : 0;
    if (tries > TRIES_MAX) return "stopped";
    after = answer.next_after;
    if ((answer.counts.pending ?? 0) > 0) await wait(PAUSE_S);
  }
  return "stopped";
}

/** What was left out so far, each charge once, with what was last said of it. */
export function leftOutWith(before: readonly RepricingResult[], results: readonly RepricingResult[]): RepricingResult[] {
  const found = new Map(before.map((result) => [result.entry_id, result]));
  for (const result of results) {
    if (result.outcome === "left_out") found.set(result.entry_id, result);
  }
  return [...found.values()];
}
