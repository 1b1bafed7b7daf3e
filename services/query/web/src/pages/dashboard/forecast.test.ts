import { expect, it } from "vitest";

import type { Forecast } from "@/api/types";

import { forecastSentence } from "./forecast";

const available = { amount: "84.20", currency: "USD" };
const forecast = (part: Partial<Forecast>): Forecast => ({
  as_of: "2026-11-22T01:00:00Z",
  seq: 1,
  available,
  currency: "USD",
  runs_out_at: null,
  method: null,
  reason: null,
  methods: [],
  ...part,
});
const say = (part: Partial<Forecast>) =>
  forecastSentence(forecast(part), available, "America/New_York")?.replace(/[\u202f\u00a0]/g, " ") ?? null;

it("names the hour tonight and the day later, in the account's zone", () => {
  expect(say({ runs_out_at: "2026-11-22T03:40:00Z", method: "event_pace" })).toBe(
    "At tonight\u2019s pace $84.20 lasts until 10:40 PM.",
  );
  expect(say({ runs_out_at: "2026-11-25T15:00:00Z", method: "last_7_days" })).toBe(
    "At the pace of the last 7 days $84.20 lasts until Wed, Nov 25, 10:00 AM.",
  );
});

it("says nothing where there is too little to go by", () => {
  expect(say({ reason: "not_enough_data" })).toBeNull();
  expect(say({ reason: "no_spend" })).toBeNull();
  expect(say({ reason: "beyond_horizon" })).toContain("more than a year");
});
