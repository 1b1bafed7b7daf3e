import { expect, it, vi } from "vitest";

import { clearFragment, keyInFragment } from "./session";

it.each([
  ["#key=tb_sk_live_abc", "tb_sk_live_abc"],
  ["#key=%20tb_sk_live_abc%0A", "tb_sk_live_abc"],
  ["#key=", null],
  ["#other=1", null],
  ["", null],
])("reads the key of a sign-in link: %s", (hash, key) => {
  expect(keyInFragment({ hash })).toBe(key);
});

it("takes the key of a sign-in link out of the address", () => {
  const history = { state: null, replaceState: vi.fn() };
  const location = { hash: "#key=tb_sk_live_abc", pathname: "/sign-in", search: "?x=1" };
  clearFragment(location as Location, history as unknown as History);
  expect(history.replaceState).toHaveBeenCalledWith(null, "", "/sign-in?x=1");
});

it("leaves an address without a fragment alone", () => {
  const history = { state: null, replaceState: vi.fn() };
  const location = { hash: "", pathname: "/sign-in", search: "" };
  clearFragment(location as Location, history as unknown as History);
  expect(history.replaceState).not.toHaveBeenCalled();
});
