import { expect, it } from "vitest";

import { placeOf, placeOfLine, placesOf } from "./json-places";

const BOOK = {
  version: 13,
  "a/b~c": true,
  empty: [],
  none: {},
  prices: [
    { service: 'say "hi", {you}', plans: { basic: "0.20", pro: "-1" } },
    { service: "two", tiers: [{ from: "0" }, { from: null }] },
  ],
};

it("finds every value where it stands, written narrow or wide", () => {
  for (const json of [JSON.stringify(BOOK, null, 2), JSON.stringify(BOOK), JSON.stringify(BOOK, null, "\t")]) {
    const places = placesOf(json);
    const textAt = (pointer: string): unknown => {
      const place = places.get(pointer);
      return place === undefined ? undefined : JSON.parse(json.slice(place.from, place.to));
    };
    expect(textAt("")).toEqual(BOOK);
    expect(textAt("/version")).toBe(13);
    expect(textAt("/a~1b~0c")).toBe(true);
    expect(textAt("/empty")).toEqual([]);
    expect(textAt("/none")).toEqual({});
    expect(textAt("/prices/0/service")).toBe('say "hi", {you}');
    expect(textAt("/prices/0/plans/pro")).toBe("-1");
    expect(textAt("/prices/1/tiers/1/from")).toBeNull();
    expect(textAt("/prices/2")).toBeUndefined();
  }
});

it("counts lines from 1, and takes what is absent for what it would stand in", () => {
  const json = JSON.stringify(BOOK, null, 2);
  const places = placesOf(json);
  const lines = json.split("\n");
  const pro = placeOf(places, "/prices/0/plans/pro");
  expect(lines[(pro?.line ?? 0) - 1]).toContain('"pro": "-1"');
  expect(placeOf(places, "/prices/1/tiers/1/plans/basic")).toEqual(places.get("/prices/1/tiers/1"));
  expect(placeOf(places, "/nothing")).toEqual(places.get(""));
});

it("finds a line and column, as answers and engines name them", () => {
  const text = '{\n  "a": 1,\n  oops\n}';
  expect(placeOfLine(text, 3, 3)).toEqual({ from: 14, to: 18, line: 3 });
  expect(text.slice(14, 18)).toBe("oops");
  expect(placeOfLine(text, 99, 99).line).toBe(4);
});
