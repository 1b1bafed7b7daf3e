import type { PriceBook, PriceBookListed } from "@/api/types";
import { ApiProblem } from "@/api/problem";
import { text } from "@/text";

import { placeOf, placeOfLine, placesOf, type Place } from "./json-places";

const { editor } = text.priceBooks;

/** One thing that is wrong, with where. */
export interface DocumentError {
  place: Place;
  pointer: string | null;
  detail: string;
}

const HOUR_MS = 3_600_000;
/** More than the notice that a changed price needs, with time to write it. */
const NOTICE_MS = HOUR_MS;

/** A new version of a book: the next free number, from the full hour after next on. */
export function draftOf(book: PriceBook, published: readonly PriceBookListed[], now: number): string {
  const latest = Math.max(book.version, ...published.map(({ version }) => version));
  const from = Math.ceil((now + NOTICE_MS) / HOUR_MS) * HOUR_MS;
  const head = {
    version: latest + 1,
    currency: book.currency,
    effective_from: new Date(from).toISOString().replace(".000Z", "Z"),
  };
  // What people change first stands first.
  return JSON.stringify(Object.assign({ ...head }, book, head), null, 2);
}

export type Parsed = { book: PriceBook; error?: never } | { book?: never; error: DocumentError };

/** The document, as far as JSON goes; what it may say, the service judges. */
export function parseDraft(document: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(document);
  } catch (error) {
    return { error: { place: placeOfSyntax(document, error), pointer: null, detail: editor.notJson } };
  }
  if (!isBook(value)) {
    return { error: { place: placeOfLine(document, 1, 1), pointer: "/version", detail: editor.notObject } };
  }
  return { book: value };
}

/** Every error of an answer at its place; empty where it is about something else. */
export function errorsOf(document: string, error: unknown): DocumentError[] {
  if (!(error instanceof ApiProblem) || (error.status !== 400 && error.status !== 422)) return [];
  const byLine = / at line (\d+) column (\d+)$/.exec(error.detail ?? "");
  if (byLine !== null && error.detail !== undefined) {
    const place = placeOfLine(document, Number(byLine[1]), 1);
    return [{ place, pointer: null, detail: error.detail.slice(0, byLine.index) }];
  }
  let places: Map<string, Place>;
  try {
    JSON.parse(document);
    places = placesOf(document);
  } catch {
    return [];
  }
  return error.errors.flatMap(({ pointer: full, detail }) => {
    if (/^\/(work|period)(\/|$)/.test(full)) return [];
    const pointer = full.startsWith("/book/") ? full.slice("/book".length) : full;
    const place = placeOf(places, pointer);
    return place === undefined ? [] : [{ place, pointer, detail }];
  });
}

// Engines name the place in their own words: an offset, or a line and a column.
function placeOfSyntax(document: string, error: unknown): Place {
  const said = error instanceof Error ? error.message : "";
  const byLine = /line (\d+) column (\d+)/.exec(said);
  if (byLine !== null) return placeOfLine(document, Number(byLine[1]), Number(byLine[2]));
  const byOffset = /position (\d+)/.exec(said);
  if (byOffset === null) return placeOfLine(document, document.split("\n").length, 1);
  const before = document.slice(0, Number(byOffset[1]));
  const line = before.split("\n").length;
  return placeOfLine(document, line, before.length - before.lastIndexOf("\n"));
}

function isBook(value: unknown): value is PriceBook {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { version } = value as { version?: unknown };
  return typeof version === "number" && Number.isSafeInteger(version) && version > 0;
}
