import { describe, expect, it } from "vitest";

import type { EngineUsage, Service } from "@/api/types";

import { byEngine, byService, eventDates, isUnderWay } from "./describe";
import { parseEstimate } from "./estimate-input";
import { activityOfEngine } from "./links";

const row = (service: string, engine: string, amount: string, count = 1, failed = 0): EngineUsage => ({
  service,
  engine,
  service_name: `${service} (${engine})`,
  amount: { amount, currency: "USD" },
  count,
  failed,
});
const services: Service[] = [
  {
    service: "ai_modify",
    service_name: "AI Modify",
    engine: "nano_banana_2",
    engine_name: "Nano Banana 2",
    name: "AI Modify (Nano Banana 2)",
  },
  {
    service: "ai_combine",
    service_name: "AI Combine",
    engine: "nano_banana_2",
    engine_name: "Nano Banana 2",
    name: "AI Combine (Nano Banana 2)",
  },
];
const rows = [
  row("ai_modify", "nano_banana_2", "0.48", 2, 1),
  row("ai_combine", "nano_banana_2", "0.30"),
  row("background_removal", "bg_removal", "0.06"),
  row("face_switch", "face_switch", "0.12"),
  row("hologram", "prism", "0.04"),
];

describe("usage of an event", () => {
  it("names slices by engine, whatever the service", () => {
    expect(byEngine(rows, services).filter((item) => item.label === "Nano Banana 2")).toHaveLength(2);
  });

  it("lists the seven services always, and what it does not know after them", () => {
    const lines = byService(rows, services);
    expect(lines.map((line) => line.name)).toEqual([
      "AI Image To Video",
      "AI Modify",
      "AI Draw Me",
      "Standard AI",
      "AI Combine",
      "SMS",
      "Editorial AI",
      "hologram",
    ]);
    expect(lines.find((line) => line.name === "Standard AI")).toMatchObject({ amount: "0.18", count: 2, share: 180 });
    expect(lines.find((line) => line.name === "AI Modify")).toMatchObject({ amount: "0.48", count: 2, failed: 1 });
    expect(lines.find((line) => line.name === "SMS")).toMatchObject({ amount: "0.00", count: 0, share: 0 });
  });

  it("leads to one service's engine, or to all that an engine did", () => {
    expect(activityOfEngine("evt_a", "bg_removal", rows)).toBe(
      "/activity?service=background_removal&engine=bg_removal&event=evt_a",
    );
    expect(activityOfEngine("evt_a", "nano_banana_2", rows)).toBe("/activity?q=nano+banana+2&event=evt_a");
  });
});

describe("dates of an event", () => {
  const event: Parameters<typeof eventDates>[0] = {
    starts_at: "2026-05-09T22:00:00Z",
    ends_at: "2026-05-10T02:00:00Z",
    first_activity_at: null,
    last_activity_at: null,
    time_zone: "America/New_York",
  };
  const said = (of: typeof event, now: string): string => eventDates(of, new Date(now)).replaceAll("\u202f", " ");

  it("stand in the event's zone, the day once", () => {
    expect(said(event, "2026-05-12T00:00:00Z")).toBe("May 9, 2026, 6:00 PM \u2013 10:00 PM");
  });

  it("are those of the activity where none are set, until now while it goes on", () => {
    const open = {
      ...event,
      starts_at: null,
      ends_at: null,
      first_activity_at: "2026-05-09T22:00:00Z",
      last_activity_at: "2026-05-10T01:45:00Z",
    };
    expect(said(open, "2026-05-10T01:50:00Z")).toBe("May 9, 2026, 6:00 PM \u2013 now");
    // The quarter of the last activity belongs to it.
    expect(said(open, "2026-05-10T04:00:00Z")).toBe("May 9, 2026, 6:00 PM \u2013 10:00 PM");
    expect(said({ ...open, last_activity_at: null }, "2026-05-10T04:00:00Z")).toBe("From May 9, 2026, 6:00 PM");
  });

  it("say whether the doors are open", () => {
    expect(isUnderWay(event, new Date("2026-05-10T01:59:59Z"))).toBe(true);
    expect(isUnderWay(event, new Date("2026-05-10T02:00:00Z"))).toBe(false);
    expect(isUnderWay({ ...event, ends_at: null }, new Date("2026-05-10T01:00:00Z"))).toBe(false);
  });
});

describe("parseEstimate", () => {
  it("takes whole guests and decimals a guest", () => {
    expect(parseEstimate({ guests: "150", operations: "1.25" })).toEqual({ ok: true, guests: 150, operations: "1.25" });
  });

  it("says which of the two is wrong", () => {
    expect(parseEstimate({ guests: "0", operations: "1" })).toEqual({ ok: false, guests: true, operations: false });
    expect(parseEstimate({ guests: "12.5", operations: "0" })).toEqual({ ok: false, guests: true, operations: true });
    expect(parseEstimate({ guests: "10", operations: "1e2" })).toEqual({ ok: false, guests: false, operations: true });
  });
});
