/** Where a value stands in a text: offsets, and the line, counted from 1. */
export interface Place {
  from: number;
  to: number;
  line: number;
}

const LITERAL = /[^\s,\]}]+/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
const SPACE = /\s*/y;

/** The place of every value of a JSON text by its pointer (RFC 6901). The text must be good JSON. */
export function placesOf(json: string): Map<string, Place> {
  const places = new Map<string, Place>();
  const lineAt = lineFinder(json);
  let at = 0;

  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(json)?.[0] ?? "";
    at += found.length;
    return found;
  };
  const skip = (): void => void take(SPACE);

  const value = (pointer: string): void => {
    skip();
    const from = at;
    if (json[at] === "{") members(pointer);
    else if (json[at] === "[") items(pointer);
    else take(json[at] === '"' ? STRING : LITERAL);
    places.set(pointer, { from, to: at, line: lineAt(from) });
  };
  const members = (pointer: string): void => {
    at += 1;
    for (skip(); at < json.length && json[at] !== "}"; skip()) {
      const name = JSON.parse(take(STRING) || '""') as string;
      skip();
      at += 1;
      value(`${pointer}/${escaped(name)}`);
      skip();
      if (json[at] === ",") at += 1;
    }
    at += 1;
  };
  const items = (pointer: string): void => {
    at += 1;
    skip();
    for (let index = 0; at < json.length && json[at] !== "]"; index += 1) {
      value(`${pointer}/${String(index)}`);
      skip();
      if (json[at] === ",") at += 1;
      skip();
    }
    at += 1;
  };

  value("");
  return places;
}

/** The place of a pointer, or of what it would stand in where it is absent. */
export function placeOf(places: ReadonlyMap<string, Place>, pointer: string): Place | undefined {
  for (let rest = pointer; ; rest = rest.slice(0, rest.lastIndexOf("/"))) {
    const found = places.get(rest);
    if (found !== undefined || rest === "" || !rest.includes("/")) return found;
  }
}

/** The place of a line and a column, both counted from 1. */
export function placeOfLine(text: string, line: number, column: number): Place {
  const lines = text.split("\n");
  const index = Math.min(Math.max(line, 1), lines.length) - 1;
  const before = lines.slice(0, index).reduce((sum, one) => sum + one.length + 1, 0);
  const from = before + Math.min(Math.max(column - 1, 0), lines[index]?.length ?? 0);
  return { from, to: before + (lines[index]?.length ?? 0), line: index + 1 };
}

function escaped(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

// Lines by halving: a book has thousands of values.
function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
