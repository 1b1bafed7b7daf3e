import { expect, it } from "vitest";

import { readEmbed } from "./embed-settings";

const read = (search: string, hash = "#token=tbp1.abcdefgh", widget = "balance") =>
  readEmbed(widget, new URLSearchParams(search), hash);

it("takes the token from the fragment alone", () => {
  expect(read("account=acc_luna&token=tbp1.abcdefgh", "")).toEqual({ problem: "token" });
  expect(read("account=acc_luna")).toMatchObject({ token: "tbp1.abcdefgh", accountId: "acc_luna", eventId: null });
});

it("lets no more than hexadecimal colours into a style", () => {
  expect(read("account=acc_luna&accent=0A5CC9&background=fff&text=red;x:url(//evil)")).toMatchObject({
    colours: { "--accent": "#0A5CC9", "--focus": "#0A5CC9", "--chart-line": "#0A5CC9", "--bg": "#fff", "--surface": "#fff" },
  });
});

it("counts activities unless money is asked for", () => {
  expect(read("account=acc_luna")).toMatchObject({ measure: "count" });
  expect(read("account=acc_luna&measure=amount")).toMatchObject({ measure: "amount" });
  expect(read("account=acc_luna&measure=euros")).toMatchObject({ measure: "count" });
});

it("says what is missing", () => {
  expect(read("", "#token=tbp1.abcdefgh", "clock")).toEqual({ problem: "widget" });
  expect(read("account=luna")).toEqual({ problem: "account" });
});
