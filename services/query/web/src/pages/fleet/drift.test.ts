import { expect, it } from "vitest";

import type { Drift } from "@/api/types";

import { accountsOff, driftState, offOf } from "./drift";

const NOW = Date.parse("2026-11-21T21:05:00Z");
const none = { accounts: 0, examples: [] };
const drift = (parts: Partial<Drift> = {}): Drift => ({
  began_at: "2026-11-21T18:00:00Z",
  looked_at: "2026-11-21T21:04:50Z",
  passed_at: "2026-11-21T21:04:40Z",
  data: [
    { kind: "ledger_chain", ...none },
    { kind: "rollup_vs_ledger", ...none },
  ],
  ...parts,
});
const example = (id: string) => ({ account_id: id, name: null, off: null });

it("is fine only where every account was looked at, a short while ago", () => {
  expect(driftState(drift(), NOW)).toEqual({ is: "fine", at: "2026-11-21T21:04:40Z" });
  expect(driftState(drift({ passed_at: null }), NOW)).toEqual({ is: "first", since: "2026-11-21T18:00:00Z" });
  expect(driftState(drift({ looked_at: "2026-11-21T20:34:00Z" }), NOW)).toEqual({ is: "stale", since: "2026-11-21T20:34:00Z" });
  expect(driftState(drift({ began_at: null, looked_at: null, passed_at: null, data: [] }), NOW)).toEqual({ is: "never" });
});

it("says what was found, also where nobody looks any more, and whom it does not name", () => {
  const data = [
    { kind: "ledger_chain", accounts: 1, examples: [example("acc_a")] },
    { kind: "rollup_vs_ledger", accounts: 23, examples: [example("acc_a"), example("acc_b")] },
  ];
  const found = drift({ looked_at: "2026-11-20T00:00:00Z", data });
  expect(driftState(found, NOW)).toEqual({ is: "found" });
  expect(offOf(found).rows.map(({ kind, example: { account_id: id } }) => [kind, id])).toEqual([
    ["ledger_chain", "acc_a"],
    ["rollup_vs_ledger", "acc_a"],
    ["rollup_vs_ledger", "acc_b"],
  ]);
  expect(offOf(found).unnamed).toEqual([{ kind: "rollup_vs_ledger", count: 21 }]);
  expect(accountsOff(found)).toBe(23);
  expect(accountsOff(drift({ data: [{ kind: "ledger_chain", accounts: 1, examples: [example("acc_a")] }] }))).toBe(1);
});
