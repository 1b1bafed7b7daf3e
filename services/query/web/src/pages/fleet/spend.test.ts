import { expect, it } from "vitest";

import type { FleetUsage } from "@/api/types";

import { spendByKey } from "./spend";

const usd = (amount: string) => ({ amount, currency: "USD" });
const group = (key: string, amount: string, count: number, margin?: string) => ({
  key,
  name: key.toUpperCase(),
  amount: usd(amount),
  count,
  failures: 1,
  quantity: "1",
  ...(margin === undefined ? {} : { margin: usd(margin), provider_cost: usd("0.10") }),
});

it("adds the groups of all buckets up by engine, exactly, largest first", () => {
  const usage = {
    buckets: [{ groups: [group("a", "0.10", 1, "0.01"), group("b", "5.00", 2)] }, { groups: [group("a", "0.20", 3, "0.02")] }],
    total: { amount: usd("5.30") },
  } as unknown as FleetUsage;
  expect(spendByKey(usage)).toEqual([
    { key: "b", name: "B", count: 2, failures: 1, amount: usd("5.00"), cost: null, margin: null, share: 943 },
    { key: "a", name: "A", count: 4, failures: 2, amount: usd("0.30"), cost: usd("0.20"), margin: usd("0.03"), share: 56 },
  ]);
});

it("puts what is beyond the top last, however much it is", () => {
  const others = { ...group("", "9.00", 40), key: null, name: "Other" };
  const usage = {
    buckets: [{ groups: [others, group("acc_a", "5.00", 2), group("acc_b", "6.00", 2)] }],
    total: { amount: usd("20.00") },
  } as unknown as FleetUsage;
  const rows = spendByKey(usage);
  expect(rows.map((row) => row.key)).toEqual(["acc_b", "acc_a", null]);
  expect(rows[2]).toMatchObject({ name: "Other", count: 40, amount: usd("9.00"), share: 450 });
});
