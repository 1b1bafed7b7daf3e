import { describe, expect, it } from "vitest";
import { donutData, nextSlice, OTHER_KEY, shareInTenths, type DonutItem } from "./donut-data";
import { engineLook } from "./engine-colours";

const item = (key: string, amount: string, count = 1): DonutItem => ({ key, label: key, amount, count });

describe("donutData", () => {
  it("sorts by exact amount and merges the rows of one engine", () => {
    const { slices, total, count } = donutData(
      [item("a", "0.10"), item("b", "0.20", 2), item("a", "0.15", 3)],
      "Other",
    );
    expect(slices.map((slice) => [slice.key, slice.amount, slice.count])).toEqual([
      ["a", "0.25", 4],
      ["b", "0.20", 2],
    ]);
    expect(total).toBe("0.45");
    expect(count).toBe(6);
  });

  it("keeps six apart and puts the rest into Other, last even when it is the largest", () => {
    const items = Array.from({ length: 20 }, (_, i) => item(`e${String(i)}`, `${String(20 - i)}.00`));
    const { slices, total } = donutData(items, "Other");
    expect(slices).toHaveLength(7);
    const other = slices.at(-1);
    expect(other?.key).toBe(OTHER_KEY);
    expect(other?.amount).toBe("105.00");
    expect(other?.members).toHaveLength(14);
    expect(total).toBe("210.00");
  });

  it("leaves out what cost nothing, and has no slices without spend", () => {
    expect(donutData([item("a", "0.00", 3), item("b", "-1.00")], "Other")).toEqual({
      slices: [],
      total: "0.00",
      count: 0,
    });
  });

  it("gives an engine the same look at any rank", () => {
    const first = donutData([item("kling", "9.00"), item("draw_me", "1.00")], "Other").slices;
    const second = donutData([item("kling", "1.00"), item("draw_me", "9.00")], "Other").slices;
    expect(first[0]?.look).toEqual(second[1]?.look);
    expect(engineLook("brand_new")).toEqual(engineLook("brand_new"));
  });
});

describe("shareInTenths", () => {
  it("rounds half up, by integers", () => {
    expect(shareInTenths("1.00", "3.00")).toBe(333);
    expect(shareInTenths("2.00", "3.00")).toBe(667);
    expect(shareInTenths("0.0005", "1.00")).toBe(1);
    expect(shareInTenths("1.00", "0.00")).toBe(0);
  });
});

describe("engineLook", () => {
  it("gives no two known engines the same hue and texture", () => {
    const engines = [
      "nano_banana_2",
      "kling",
      "grok_imagine",
      "gpt_image_2",
      "seedance",
      "sms_us_ca",
      "draw_me",
      "sora",
      "editorial",
      "bg_removal",
      "face_switch",
      "sms_intl",
    ];
    const looks = engines.map((engine) => `${engineLook(engine).hue}-${engineLook(engine).texture}`);
    expect(new Set(looks).size).toBe(engines.length);
  });
});

describe("nextSlice", () => {
  it("goes round the ring and to its ends", () => {
    expect(nextSlice(2, "ArrowRight", 3)).toBe(0);
    expect(nextSlice(0, "ArrowLeft", 3)).toBe(2);
    expect(nextSlice(1, "Home", 3)).toBe(0);
    expect(nextSlice(1, "End", 3)).toBe(2);
    expect(nextSlice(1, "Tab", 3)).toBeNull();
    expect(nextSlice(0, "ArrowRight", 0)).toBeNull();
  });
});
