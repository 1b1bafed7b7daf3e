import { expect, it } from "vitest";

import type { ApiKey } from "@/api/contract";

import { hintOf, isRotatable, kindText, nameOf, scopesText, stateOf } from "./describe";

const NOW = Date.parse("2026-11-26T12:00:00Z");
const key = (parts: Partial<ApiKey> = {}): ApiKey => ({
  key_id: "key_1",
  kind: "account",
  account_id: "acc_luna",
  booth_id: null,
  prefix: "tb_sk_live",
  last_four: "x9Qw",
  label: null,
  scopes: [],
  created_at: "2026-11-01T00:00:00Z",
  expires_at: null,
  revoked_at: null,
  ...parts,
});

it("tells how a key stands: what was ended by hand first, and a replaced one until it ends", () => {
  expect(stateOf(key(), NOW)).toBe("active");
  expect(stateOf(key({ expires_at: "2026-11-26T12:00:01Z", replaced_by: "key_2" }), NOW)).toBe("replaced");
  expect(stateOf(key({ expires_at: "2026-11-26T12:00:00Z", replaced_by: "key_2" }), NOW)).toBe("expired");
  expect(stateOf(key({ expires_at: "2026-11-01T00:00:00Z", revoked_at: "2026-10-01T00:00:00Z" }), NOW)).toBe("revoked");
});

it("offers to rotate what is active, where the service can", () => {
  expect(isRotatable(key(), NOW)).toBe(true);
  expect(isRotatable(key({ replaced_by: "key_2" }), NOW)).toBe(false);
  const old = key();
  delete old.scopes;
  expect(isRotatable(old, NOW)).toBe(false);
});

it("names a key without showing it", () => {
  expect(hintOf(key())).toBe("tb_sk_live_…x9Qw");
  expect([nameOf(key()), nameOf(key({ label: "Backend" }))]).toEqual(["tb_sk_live_…x9Qw", "Backend"]);
  expect([kindText(key()), kindText(key({ kind: "booth", booth_id: "bth_01" }))]).toEqual(["Account", "Booth bth_01"]);
  expect(scopesText([])).toBe("Full access");
  expect(scopesText(["read", "something_new"])).toBe("read, something_new");
});
