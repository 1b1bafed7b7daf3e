// Money written and added up independently of the dashboard's own code: what is compared must not share its mistakes.

export function micro(decimal: string): bigint {
  const [whole = "0", fraction = ""] = decimal.replace("-", "").split(".");
  const value = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
  return decimal.startsWith("-") ? -value : value;
}

export function sum(decimals: readonly string[]): bigint {
  return decimals.reduce((total, decimal) => total + micro(decimal), 0n);
}

function grouped(whole: string): string {
  return whole.replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `$1,234.50`, `−$0.0125`, with `+` where asked: two to six places. */
export function dollars(value: bigint, signed = false): string {
  const positive = value < 0n ? -value : value;
  const whole = grouped((positive / 1_000_000n).toString());
  const fraction = (positive % 1_000_000n)
    .toString()
    .padStart(6, "0")
    .replace(/0{1,4}$/, "");
  const sign = value < 0n ? "\u2212" : signed && value > 0n ? "+" : "";
  return `${sign}$${whole}.${fraction}`;
}
