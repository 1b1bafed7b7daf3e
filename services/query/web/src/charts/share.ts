const percent = new Intl.NumberFormat("en-US", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

/** Tenths of a percent for people; always one decimal, so that a column's figures stand below each other. */
export function shareText(tenths: number): string {
  return percent.format(tenths / 1000);
}
