import { expect, it, vi } from "vitest";

import { takeKeyFromFragment } from "./session";

it("takes the key of a sign-in link out of the address", () => {
  const history = { state: null, replaceState: vi.fn() };
  const location = { hash: "#key=tb_sk_live_abc", pathname: "/sign-in", search: "?x=1" };
  const key = takeKeyFromFragment(location as Location, history as unknown as History);
  expect(key).toBe("tb_sk_live_abc");
  expect(history.replaceState).toHaveBeenCalledWith(null, "", "/sign-in?x=1");
});

it("leaves an address without a fragment alone", () => {
  const history = { state: null, replaceState: vi.fn() };
  const location = { hash: "", pathname: "/sign-in", search: "" };
  expect(takeKeyFromFragment(location as Location, history as unknown as History)).toBeNull();
  expect(history.replaceState).not.toHaveBeenCalled();
});
