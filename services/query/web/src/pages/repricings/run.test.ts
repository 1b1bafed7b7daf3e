import { describe, expect, it } from "vitest";

import type { RepricingRun } from "@/api/contract";
import { ApiProblem } from "@/api/problem";

import { leftOutWith, runAll, type RunPorts } from "./run";

const answer = (next_after?: string, counts: RepricingRun["counts"] = { posted: 1 }): RepricingRun => ({
  repricing_id: "rpr_1",
  counts,
  ...(next_after === undefined ? {} : { next_after }),
  results: [],
});

/** A service that answers, or refuses, in this order. */
function service(answers: (RepricingRun | Error)[]) {
  const asked: (string | null)[] = [];
  const pauses: number[] = [];
  const ports: RunPorts = {
    ask: (after) => {
      asked.push(after);
      const next = answers.shift() ?? answer();
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    onAnswer: () => undefined,
    onWaiting: () => undefined,
    pause: (ms) => {
      pauses.push(ms);
      return Promise.resolve();
    },
    isStopped: () => false,
  };
  return { asked, pauses, ports };
}

describe("a run", () => {
  it("goes on behind each answer until there is no more", async () => {
    const { asked, ports } = service([answer("acc_a/9"), answer("acc_b/2"), answer()]);
    expect(await runAll(null, ports)).toBe("done");
    expect(asked).toEqual([null, "acc_a/9", "acc_b/2"]);
  });

  it("begins where it is told to", async () => {
    const { asked, ports } = service([answer()]);
    await runAll("acc_b/2", ports);
    expect(asked).toEqual(["acc_b/2"]);
  });

  it("asks again from the same place where the answer was lost, as long as the service wishes", async () => {
    const busy = new ApiProblem(503, { title: "Busy" }, 7);
    const { asked, pauses, ports } = service([answer("acc_a/9"), busy, new ApiProblem(504, {}), answer()]);
    expect(await runAll(null, ports)).toBe("done");
    expect(asked).toEqual([null, "acc_a/9", "acc_a/9", "acc_a/9"]);
    expect(pauses).toEqual([7000, 2000]);
  });

  it("ends with what does not pass by itself, and with what does not pass at all", async () => {
    const conflict = new ApiProblem(409, { title: "It is being taken back" });
    await expect(runAll(null, service([conflict]).ports)).rejects.toBe(conflict);
    const away = Array.from({ length: 9 }, () => new ApiProblem(503, {}));
    const { asked, ports } = service(away);
    await expect(runAll(null, ports)).rejects.toBeInstanceOf(ApiProblem);
    expect(asked).toHaveLength(6);
  });

  it("waits for charges that are pending, and stops where nothing is answered any more", async () => {
    const pending = () => answer("acc_a/9", { pending: 3 });
    const first = service([pending(), answer()]);
    expect(await runAll(null, first.ports)).toBe("done");
    expect(first.pauses).toEqual([2000]);
    const stuck = service(Array.from({ length: 20 }, pending));
    expect(await runAll(null, stuck.ports)).toBe("stopped");
  });

  it("stops between two requests, never within one", async () => {
    const { asked, ports } = service([answer("acc_a/9"), answer()]);
    expect(await runAll(null, { ...ports, isStopped: () => asked.length > 0 })).toBe("stopped");
    expect(asked).toEqual([null]);
  });
});

it("keeps each charge that was left out once, and none that was only pending", () => {
  const out = (entry_id: string, reason: string) => ({ entry_id, outcome: "left_out" as const, reason });
  const first = leftOutWith([], [out("ent_1", "no_price"), { entry_id: "ent_2", outcome: "pending" }]);
  expect(leftOutWith(first, [out("ent_1", "charge_refunded"), out("ent_3", "no_price")])).toEqual([
    out("ent_1", "charge_refunded"),
    out("ent_3", "no_price"),
  ]);
});
