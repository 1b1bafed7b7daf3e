import { expect, it } from "vitest";

import { readEmbed } from "@/pages/embed/embed-settings";

import { frameOf, isEventId, linkOf, SHOWS, type Link } from "./link";

const LINK: Link = {
  origin: "https://credits.example",
  shows: "event",
  accountId: "acc_luna",
  eventId: "evt_gala",
  theme: "dark",
  token: "tbp1.abc-_+/=",
};

it("is understood by the page it leads to, whatever it shows", () => {
  for (const shows of SHOWS) {
    const url = new URL(linkOf({ ...LINK, shows }));
    const widget = url.pathname.split("/").at(-1);
    expect(readEmbed(widget, url.searchParams, url.hash)).toMatchObject({
      widget: shows === "event" ? "donut" : shows,
      token: LINK.token,
      accountId: "acc_luna",
      eventId: shows === "event" ? "evt_gala" : null,
      theme: "dark",
    });
  }
});

it("keeps the token in the fragment, and what a frame says within its quotes", () => {
  const link = linkOf(LINK);
  expect(new URL(link).search).not.toContain("tbp1");
  expect(frameOf(link, 'The "Gala"')).toContain("account=acc_luna&amp;event=evt_gala");
  expect(frameOf(link, 'The "Gala"')).toContain('title="The &quot;Gala&quot;"');
});

it("knows an event id", () => {
  expect(isEventId(" evt_gala ")).toBe(true);
  expect(isEventId("gala")).toBe(false);
});
