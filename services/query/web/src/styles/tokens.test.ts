import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

const css = readFileSync(join(import.meta.dirname, "tokens.css"), "utf8");

/** The colours of a theme by name; what the dark one does not say is as in the light one. */
function theme(name: "light" | "dark"): Record<string, string> {
  const blocks = { light: /:root \{([^}]*)\}/, dark: /:root\[data-theme="dark"\] \{([^}]*)\}/ };
  const colours = (block: RegExp): (readonly [string, string])[] =>
    [...(block.exec(css)?.[1] ?? "").matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, key = "", value = ""]) => [key, value]);
  return Object.fromEntries([...colours(blocks.light), ...(name === "dark" ? colours(blocks.dark) : [])]);
}

/** WCAG 2.2, relative luminance. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark = 0, bright = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}

const SURFACES = ["bg", "surface", "surface-2"];
const TEXTS = ["text", "text-2", "text-3", "accent", "success", "warning", "danger", "info"];
const BADGES = ["success", "warning", "danger", "info"].map((tone) => [tone, `${tone}-soft`] as const);
/** What is drawn and means something: lines, slices, the focus, a border that alone shows a control. */
const MARKS = ["chart-line", "chart-compare", "focus", "border-strong", "series-other"];
const SERIES = Array.from({ length: 8 }, (_, index) => `series-${String(index + 1)}`);

describe.each(["light", "dark"] as const)("In the %s theme", (name) => {
  const colours = theme(name);
  const low = (pairs: readonly (readonly [string, string])[], least: number): string[] =>
    pairs
      .map(([front, back]) => [front, back, contrast(colours[front] ?? "", colours[back] ?? "")] as const)
      .filter(([, , ratio]) => !(ratio >= least))
      .map(([front, back, ratio]) => `${front} on ${back}: ${ratio.toFixed(2)}`);
  const onAll = (fronts: readonly string[], backs: readonly string[]) =>
    fronts.flatMap((front) => backs.map((back) => [front, back] as const));

  it("every text is read on every surface (1.4.3)", () => {
    expect(low([...onAll(TEXTS, SURFACES), ...BADGES, ["on-primary", "primary"]], 4.5)).toEqual([]);
    expect(low(onAll(["text", "text-2", "text-3"], ["surface-3"]), 4.5)).toEqual([]);
  });

  it("every mark that means something is seen on every surface (1.4.11)", () => {
    expect(low(onAll([...MARKS, ...SERIES], ["surface", "surface-2"]), 3)).toEqual([]);
  });
});
