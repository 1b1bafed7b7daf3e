import { expect, it } from "vitest";

import { ApiProblem, detailAt, sentence } from "./problem";

it("makes lines of the service's words, and leaves codes and addresses as they are", () => {
  expect(sentence("must be above 0")).toBe("Must be above 0");
  expect(sentence("an account may have 20: delete one first")).toBe("An account may have 20: delete one first");
  expect(sentence("webhooks.secret is not set")).toBe("webhooks.secret is not set");
  expect(sentence("acc_luna has no plan")).toBe("acc_luna has no plan");
  expect(sentence("The price book is not published")).toBe("The price book is not published");
  expect(sentence("")).toBe("");
});

it("finds what is said of the first of some fields", () => {
  const errors = [
    { pointer: "/name", detail: "must not be empty" },
    { pointer: "/amount", detail: "must be above 0" },
  ];
  const problem = new ApiProblem(422, { errors });
  expect(detailAt(problem, "/budget", "/amount")).toBe("Must be above 0");
  expect(detailAt(problem, "/zone")).toBeUndefined();
  expect(detailAt(new Error("offline"), "/amount")).toBeUndefined();
});
