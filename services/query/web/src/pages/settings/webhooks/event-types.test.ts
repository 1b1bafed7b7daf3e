import { expect, it } from "vitest";

import { EVENT_TYPES, toUrl, typesText, typesToSend } from "./event-types";

it("names all alerts as a group, so that later kinds are told as well", () => {
  const alerts = EVENT_TYPES.filter((type) => type.startsWith("alert."));
  expect(typesToSend(new Set(alerts))).toEqual(["alert.*"]);
  expect(typesToSend(new Set([...alerts, "purchase.succeeded"]))).toEqual(["alert.*", "purchase.succeeded"]);
  expect(typesToSend(new Set(["purchase.succeeded", "alert.event_budget"]))).toEqual([
    "alert.event_budget",
    "purchase.succeeded",
  ]);
});

it("reads a list without types as everything", () => {
  expect(typesText([])).toBe("All events");
  expect(typesText(["alert.*", "something.new"])).toBe("All alerts, something.new");
});

it("completes an address, and leaves one with a scheme alone", () => {
  expect(toUrl(" hooks.example.com/in ")).toBe("https://hooks.example.com/in");
  expect(toUrl("ops@example.com")).toBe("mailto:ops@example.com");
  expect(toUrl("example.com/a@b")).toBe("https://example.com/a@b");
  expect(toUrl("http://127.0.0.1:9/")).toBe("http://127.0.0.1:9/");
});
