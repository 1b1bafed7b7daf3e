import { describe, expect, it } from "vitest";

import { addMoney, compareMoney, currencyName, currencySign, formatMoney, fromMicro, isNegative, isZero, negate, perMille, placesFor, toMicro } from "./money";

const usd = (amount: string) => ({ amount, currency: "USD" });

describe("formatMoney", () => {
  it.each([
    ["0.00", "$0.00"],
    ["84.20", "$84.20"],
    ["1234.5", "$1,234.50"],
    ["-0.20", "\u2212$0.20"],
    ["-0.00", "$0.00"],
  ])("shows %s to the cent as %s", (amount, shown) => {
    expect(formatMoney(usd(amount))).toBe(shown);
  });

  it("shows what one operation cost exactly, with two to six places", () => {
    expect(formatMoney(usd("-0.0125"), { places: "exact" })).toBe("\u2212$0.0125");
    expect(formatMoney(usd("0.200000"), { places: "exact" })).toBe("$0.20");
    expect(formatMoney(usd("-0.000001"), { places: "exact" })).toBe("\u2212$0.000001");
  });

  it("shows the amounts of a column with as many places as the longest of them needs", () => {
    const column = [usd("1.20"), usd("-0.335"), usd("0.865000"), usd("7")];
    expect(placesFor(column)).toBe(3);
    expect(column.map((money) => formatMoney(money, { places: placesFor(column) }))).toEqual([
      "$1.200",
      "\u2212$0.335",
      "$0.865",
      "$7.000",
    ]);
    expect([[], [usd("3.00")], [usd("0.1")], [usd("0.000001")]].map(placesFor)).toEqual([2, 2, 2, 6]);
    // As a float the last place would be lost.
    expect(formatMoney(usd("9007199254740993.001"), { places: 3 })).toBe("$9,007,199,254,740,993.001");
  });

  it("marks what was added", () => {
    expect(formatMoney(usd("50.00"), { signed: true })).toBe("+$50.00");
    expect(formatMoney(usd("0.00"), { signed: true })).toBe("$0.00");
  });

  it("is exact beyond what a float can hold", () => {
    // As a float this is 9007199254740992.
    expect(formatMoney(usd("9007199254740993.01"))).toBe("$9,007,199,254,740,993.01");
    expect(formatMoney(usd("999999999999999999999.999999"), { places: "exact" })).toBe(
      "$999,999,999,999,999,999,999.999999",
    );
  });

  it("rounds as the ledger does, half to even", () => {
    expect(formatMoney(usd("0.125"))).toBe("$0.12");
    expect(formatMoney(usd("0.135"))).toBe("$0.14");
  });

  it("knows currencies without cents and shows what it cannot read as it came", () => {
    expect(formatMoney({ amount: "12.50", currency: "EUR" })).toBe("\u20ac12.50");
    expect(formatMoney(usd("1e5"))).toBe("1e5");
  });
});

it("knows a currency's sign", () => {
  expect(currencySign("USD")).toBe("$");
  expect(currencySign("EUR")).toBe("\u20ac");
  expect(currencySign("CHF")).toBe("CHF");
});

describe("micro-units", () => {
  it("come back as the decimal they were", () => {
    for (const amount of ["0.00", "-0.20", "12.34", "0.000001", "-1234567890123.456789", "100.00"]) {
      expect(fromMicro(toMicro(amount))).toBe(amount);
    }
  });

  it("keep a sign below one", () => {
    expect(toMicro("-0.5")).toBe(-500_000n);
    expect(fromMicro(-1n)).toBe("-0.000001");
  });

  it("refuse what is no decimal", () => {
    expect(() => toMicro("1e3")).toThrow(RangeError);
    expect(() => toMicro("0.0000001")).toThrow(RangeError);
  });

  it("add, negate and compare exactly", () => {
    expect(addMoney(usd("0.10"), usd("0.20"))).toEqual(usd("0.30"));
    expect(negate(usd("0.20"))).toEqual(usd("-0.20"));
    expect(compareMoney(usd("-1.00"), usd("0.999999"))).toBe(-1);
    expect(compareMoney(usd("1.0"), usd("1.00"))).toBe(0);
    expect(isZero(usd("-0.00"))).toBe(true);
    expect(isNegative(usd("-0.000001"))).toBe(true);
    expect(perMille(usd("1.00"), usd("3.00"))).toBe(333);
    expect(perMille(usd("1.00"), usd("0.00"))).toBeNull();
  });
});

it("names the currency that is counted in", () => {
  expect(["USD", "EUR", "GBP", "XYZ"].map((currency) => currencyName(currency))).toEqual(["Dollars", "Euros", "British pounds", "XYZ"]);
});
