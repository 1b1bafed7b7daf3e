import { expect, it } from "vitest";

import { ApiProblem } from "@/api/problem";

import { refusedAddress, refusedOtherwise } from "./refusal";

const refusal = (pointer: string, detail: string): ApiProblem =>
  new ApiProblem(422, { code: "invalid", title: "The request is not valid", errors: [{ pointer, detail }] });

it("says in a sentence what is wrong with an address", () => {
  expect(refusedAddress(refusal("/url", "must begin with https://"))).toBe("The URL must begin with https://");
  expect(refusedAddress(refusal("/url", "must not be a private or local address"))).toBe(
    "The URL must lead to the public internet, not to a private or local address",
  );
  expect(refusedAddress(refusal("/url", "is a mail address, and mail is not set up here"))).toBe(
    "Email is not set up on this server. Enter a URL",
  );
});

it("makes a sentence of words that it does not know, and leaves what is about something else", () => {
  expect(refusedAddress(refusal("/url", "must not be a palindrome"))).toBe("Must not be a palindrome");
  expect(refusedAddress(refusal("/event_types", "must be of ping"))).toBeNull();
  expect(refusedAddress(new Error("offline"))).toBeNull();
  expect(refusedAddress(null)).toBeNull();
});

it("has words of its own for other refusals, by their code", () => {
  const full = new ApiProblem(409, {
    code: "too_many_webhooks",
    title: "The account has too many webhooks",
    detail: "an account may have 20: delete one first",
    request_id: "req_1",
  });
  expect(refusedOtherwise(full)).toMatchObject({
    title: "This account has as many endpoints as it may have",
    detail: "Delete one first.",
    requestId: "req_1",
  });
  const unknown = new ApiProblem(503, { code: "not_ready", title: "Not ready" });
  expect(refusedOtherwise(unknown)).toBe(unknown);
  expect(refusedOtherwise(null)).toBeNull();
});
