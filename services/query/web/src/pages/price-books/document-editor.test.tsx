import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";

import { DocumentEditor } from "./DocumentEditor";

const TEXT = '{\n  "version": 0,\n  "currency": "usd"\n}';

it("shows each error at its line, and in a list that says the same without colours", () => {
  const html = renderToStaticMarkup(
    <DocumentEditor
      value={TEXT}
      errors={[
        { place: { from: 15, to: 16, line: 2 }, pointer: "/version", detail: "must be 1 or more" },
        { place: { from: 32, to: 37, line: 3 }, pointer: null, detail: "must be an ISO 4217 code" },
      ]}
      onChange={() => undefined}
    />,
  );
  const tops = [...html.matchAll(/class="document-mark" style="top:(\d+)px"/g)].map((found) => found[1]);
  expect(tops).toEqual(["20", "40"]);
  // Behind the text of its line.
  expect(html).toContain(`left:${String('  "version": 0,'.length + 2)}ch`);
  expect(html).toMatch(/Line 2<\/span>.*<code>\/version<\/code> must be 1 or more/);
  expect(html).toMatch(/Line 3<\/span>.*must be an ISO 4217 code/);
  expect(html).toContain('aria-invalid="true"');
  expect(html).toContain("2 errors");
});

it("complains of nothing where nothing is wrong", () => {
  const html = renderToStaticMarkup(<DocumentEditor value={TEXT} errors={[]} onChange={() => undefined} />);
  expect(html).not.toContain("document-mark\"");
  expect(html).not.toContain("aria-invalid");
  expect(html).toContain("1\n2\n3\n4");
});
