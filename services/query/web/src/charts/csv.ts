import type { DonutData } from "./donut-data";
import type { PlottedSeries } from "./series";

/** RFC 4180, and no cell that a spreadsheet would take for a formula. */
export function csvCell(text: string): string {
  const safe = /^[=+\-@\t]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** What the chart shows: a row a block and line, times with the zone's offset, amounts as plain exact decimals. */
export function timelineCsv(plotted: readonly PlottedSeries[], currency: string): string {
  const rows: string[][] = [["series", "start", "end", "partial", "activities", "failed", "amount", "currency"]];
  for (const { series, values } of plotted) {
    values.forEach((value, index) => {
      const bucket = series.buckets[index];
      if (!bucket) return;
      rows.push([
        series.label,
        bucket.start,
        bucket.end,
        String(bucket.partial),
        String(value.count),
        String(value.failures),
        value.amount,
        currency,
      ]);
    });
  }
  return csv(rows);
}

/** What a ring shows, and what it has no room for: a row each, amounts as plain exact decimals. */
export function donutCsv({ slices }: DonutData, currency: string): string {
  const rows = slices.map(({ key, label, count, amount }) => [key, label, String(count), amount, currency]);
  return csv([["engine", "name", "activities", "amount", "currency"], ...rows]);
}

function csv(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
}

/** Offers a text as a file, without a server. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
