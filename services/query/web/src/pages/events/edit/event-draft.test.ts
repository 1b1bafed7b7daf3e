import { describe, expect, it } from "vitest";

import type { EventListed } from "@/api/types";

import { bodyOf, draftOf, errorsOf } from "./event-draft";

const ZONE = "America/New_York";
const NOW = new Date("2026-11-21T20:15:00Z");
const usd = (amount: string) => ({ amount, currency: "USD" });

const gala: EventListed = {
  event_id: "evt_gala",
  name: "Gala Night",
  starts_at: "2026-11-21T23:00:00Z",
  ends_at: "2026-11-22T03:30:00Z",
  time_zone: ZONE,
  budget: { amount: usd("250.00"), policy: "refuse_holds", spent: usd("1.00"), remaining: usd("249.00") },
  amount: usd("1.00"),
  count: 1,
  failed: 0,
};

describe("the form of an event", () => {
  it("shows the clocks of the event, and sends back the same event when nothing was changed", () => {
    const draft = draftOf(gala, "Europe/Paris", NOW);
    expect(draft).toMatchObject({ starts: "2026-11-21T18:00", ends: "2026-11-21T22:30", zone: ZONE });
    expect(errorsOf(draft)).toEqual({});
    expect(bodyOf(draft)).toEqual({
      name: "Gala Night",
      starts_at: "2026-11-21T23:00:00.000Z",
      ends_at: "2026-11-22T03:30:00.000Z",
      time_zone: ZONE,
      budget: { amount: "250.00", on_exceeded: "refuse_holds" },
    });
  });

  it("begins a new event at the next full hour, without a budget", () => {
    const draft = { ...draftOf(null, ZONE, NOW), eventId: "evt_new", name: "New" };
    expect(draft).toMatchObject({ starts: "2026-11-21T16:00", ends: "2026-11-21T20:00", zone: ZONE, budget: "" });
    expect(bodyOf(draft)).not.toHaveProperty("budget");
  });

  it("takes the day on which clocks go back as they show it", () => {
    const draft = { ...draftOf(gala, ZONE, NOW), starts: "2026-11-01T00:30", ends: "2026-11-01T04:30" };
    // Five hours pass between half past twelve and half past four of that night.
    expect(bodyOf(draft)).toMatchObject({ starts_at: "2026-11-01T04:30:00.000Z", ends_at: "2026-11-01T09:30:00.000Z" });
  });

  it.each([
    ["eventId", { eventId: "gala" }],
    ["name", { name: " " }],
    ["zone", { zone: "Nowhere/City" }],
    ["starts", { starts: "" }],
    ["ends", { ends: "2026-11-21T18:00" }],
    ["budget", { budget: "12.345" }],
  ])("says what is wrong with %s alone", (field, change) => {
    expect(Object.keys(errorsOf({ ...draftOf(gala, ZONE, NOW), ...change }))).toEqual([field]);
  });
});
