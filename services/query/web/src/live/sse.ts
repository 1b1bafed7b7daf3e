/** An event of a stream. */
export interface SseEvent {
  readonly name: string;
  readonly data: string;
  /** Of this event or the last one that had an id. */
  readonly lastId: string;
}

/** Cuts a `text/event-stream` into its events, however the network cut it into pieces. */
export class SseParser {
  private rest = "";
  private name = "";
  private data: string[] = [];
  private lastId = "";

  feed(piece: string): SseEvent[] {
    // A carriage return at the end may be half of a line's end.
    const text = (this.rest + piece).replaceAll("\r\n", "\n");
    const lines = text.split("\n");
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.line(line) ?? []);
  }

  private line(line: string): SseEvent | null {
    if (line === "") return this.end();
    const colon = line.indexOf(":");
    const [field, value] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (field === "event") this.name = value;
    if (field === "data") this.data.push(value);
    if (field === "id") this.lastId = value;
    return null;
  }

  private end(): SseEvent | null {
    const { name, data } = this;
    this.name = "";
    this.data = [];
    return data.length === 0 ? null : { name: name === "" ? "message" : name, data: data.join("\n"), lastId: this.lastId };
  }
}
