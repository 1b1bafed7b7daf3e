import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";

/** Text as people see it: narrow and no-break spaces are spaces. */
export function plain(text: string | null): string {
  return (text ?? "")
    .replaceAll(/[\u2009\u202f\u00a0]/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
}

export async function shown(locator: Locator): Promise<string> {
  return plain(await locator.textContent());
}

/** The cells of a ledger's rows, newest first: date, service, type, status, transaction, balance. */
export async function ledgerRows(scope: Locator): Promise<string[][]> {
  const rows = await scope.locator("tbody tr[data-seq]").all();
  return Promise.all(rows.map(async (row) => (await row.locator("td").allTextContents()).map((cell) => plain(cell))));
}

export function panel(page: Page, title: string): Locator {
  return page.locator("section.panel").filter({ has: page.getByRole("heading", { name: title, exact: true }) });
}

/** Puts the mouse on the block whose label below the axis is given. */
export async function hoverBlock(scope: Locator, label: string): Promise<void> {
  const mark = scope.locator(".tl-label", { hasText: new RegExp(`^${label}$`) }).first();
  const plot = scope.locator(".tl-hit");
  await plot.scrollIntoViewIfNeeded();
  const [at, box] = [await mark.boundingBox(), await plot.boundingBox()];
  if (!at || !box) throw new Error(`no block ${label}`);
  await scope.page().mouse.move(at.x + at.width / 2, box.y + box.height / 2);
}

/** The rows of a chart's table, without its head. */
export async function tableRows(scope: Locator): Promise<string[][]> {
  const rows = await scope.locator(".tl-table tbody tr").all();
  return Promise.all(rows.map(async (row) => (await row.locator("th, td").allTextContents()).map(plain)));
}

/** Presses one of several toggles, as people do: by what is seen of it, once it stands still. */
export async function choose(scope: Locator, name: string): Promise<void> {
  const radio = scope.page().getByRole("radio", { name, exact: true });
  await scope.locator("label").filter({ has: radio }).click();
  await expect.poll(() => scope.getByRole("radio", { name, exact: true }).isChecked(), { message: name }).toBe(true);
}
