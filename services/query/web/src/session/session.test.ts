import { afterEach, describe, expect, it, vi } from "vitest";

import { clearFragment, howLeft, keyInFragment, signOut } from "./session";

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

describe("Signing out", () => {
  afterEach(() => vi.unstubAllGlobals());

  const problem = (status: number, code: string): Response =>
    new Response(JSON.stringify({ title: code, status, code }), {
      status,
      headers: { "Content-Type": "application/problem+json" },
    });
  /** What the service answers, request after request; what it was asked. */
  const service = (...answers: (() => Response)[]): Request[] => {
    const asked: Request[] = [];
    vi.stubGlobal("fetch", (request: Request) => {
      asked.push(request);
      const answer = answers[asked.length - 1];
      return answer === undefined ? Promise.reject(new TypeError("unreachable")) : Promise.resolve(answer());
    });
    return asked;
  };

  it("tells a session that has ended everywhere from one that elsewhere ends later", async () => {
    service(() => new Response(null, { status: 204 }));
    expect([await signOut(), howLeft()]).toEqual(["everywhere", "everywhere"]);
    service(() => problem(503, "sign_out_pending"));
    expect([await signOut(), howLeft()]).toEqual(["here", "here"]);
    service(() => problem(401, "unauthenticated"));
    expect(await signOut()).toBe("everywhere");
  });

  it.each([
    ["cannot be reached", []],
    ["is reading what it needs", [() => problem(503, "unavailable")]],
    ["breaks", [() => problem(500, "internal")]],
  ])("does not believe it when the service %s", async (_what, answers) => {
    service(...answers);
    await expect(signOut()).rejects.toThrow();
    expect(howLeft()).toBeNull();
  });

  it("ends the session of another tab, by its token", async () => {
    const session = { csrf_token: "theirs", kind: "admin" };
    const asked = service(
      () => problem(403, "csrf"),
      () => Response.json(session),
      () => new Response(null, { status: 204 }),
    );
    expect(await signOut()).toBe("everywhere");
    expect(asked.map(({ method }) => method)).toEqual(["DELETE", "GET", "DELETE"]);
    expect(asked[2]?.headers.get("X-CSRF-Token")).toBe("theirs");
  });
});
