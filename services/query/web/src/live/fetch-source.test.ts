import { afterEach, expect, it, vi } from "vitest";

import { setBearer } from "@/api/client";

import { FetchSource } from "./fetch-source";
import { CLOSED } from "./source";
import { SseParser } from "./sse";

afterEach(() => {
  vi.unstubAllGlobals();
  setBearer(null);
});

const TEXT = 'retry: 3000\r\n\r\n: nothing new\n\nevent: balance\nid: 4.1\ndata: {"a":\ndata: 1}\n\nevent: usage\ndata: {}\n\nevent: half';

it("finds the same events however the stream was cut", () => {
  const expected = [
    { name: "balance", data: '{"a":\n1}', lastId: "4.1" },
    { name: "usage", data: "{}", lastId: "4.1" },
  ];
  for (const size of [1, 2, 3, 7, 1_000]) {
    const parser = new SseParser();
    const events = Array.from({ length: Math.ceil(TEXT.length / size) }, (_, index) =>
      parser.feed(TEXT.slice(index * size, (index + 1) * size)),
    );
    expect(events.flat(), `in pieces of ${String(size)}`).toEqual(expected);
  }
});

/** Listens to a source until it is closed. */
function heard(source: FetchSource): Promise<string[]> {
  const said: string[] = [];
  return new Promise((done) => {
    for (const name of ["open", "balance"]) source.addEventListener(name, ({ data }) => said.push(`${name} ${data}`.trim()));
    source.addEventListener("error", () => done([...said, `error ${String(source.readyState === CLOSED)}`]));
  });
}

it("sends the token, and says when the stream has ended", async () => {
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(new Response("event: balance\ndata: 1\n\n")));
  vi.stubGlobal("fetch", fetched);
  setBearer("tbp1.abc");
  expect(await heard(new FetchSource("/v1/stream"))).toEqual(["open", "balance 1", "error true"]);
  expect(fetched.mock.calls[0]?.[1]?.headers).toMatchObject({ Authorization: "Bearer tbp1.abc" });
});

it("tells of whatever comes, comments too", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(": nothing new\n\n")));
  const alive = vi.fn();
  const source = new FetchSource("/v1/stream");
  source.addEventListener("alive", alive);
  await heard(source);
  expect(alive).toHaveBeenCalledOnce();
});

it("is not open where it was refused", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("{}", { status: 429 })));
  expect(await heard(new FetchSource("/v1/stream"))).toEqual(["error true"]);
});
