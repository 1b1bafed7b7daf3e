import { expect, it } from "vitest";

import { ApiProblem } from "@/api/problem";

import { refusalOf } from "./refusal";

it("tells a link that has expired from one that was never good, and from what is not its own", () => {
  const said = (status: number, detail?: string) => refusalOf(new ApiProblem(status, detail === undefined ? {} : { detail }));
  expect(said(401, "the portal token has expired")).toBe("expired");
  expect(said(401, "the portal token is not known")).toBe("invalid");
  expect(said(401)).toBe("invalid");
  expect(said(403, "this token reads one event, not the account")).toBe("narrow");
  expect(said(404)).toBe("missing");
});

it("leaves to the widget what passes by itself", () => {
  for (const status of [0, 429, 500, 503]) expect(refusalOf(new ApiProblem(status, {}))).toBeNull();
  expect(refusalOf(new Error("a defect"))).toBeNull();
});
