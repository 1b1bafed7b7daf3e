import { afterEach, expect, it } from "vitest";

import { takeBegun } from "./begun";

const ask = (path: string, method = "GET") => new Request(`http://127.0.0.1${path}`, { method });

afterEach(() => {
  globalThis.tollboothBegun = undefined;
});

it("takes the answer to the same question once, and no other", async () => {
  const response = Promise.resolve(Response.json({ kind: "account" }));
  globalThis.tollboothBegun = { path: "/v1/session", response };
  expect(takeBegun(ask("/v1/accounts"))).toBeNull();
  expect(takeBegun(ask("/v1/session", "DELETE"))).toBeNull();
  expect(await takeBegun(ask("/v1/session"))).toBe(await response);
  expect(takeBegun(ask("/v1/session"))).toBeNull();
});
