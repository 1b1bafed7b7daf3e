import type { Transaction } from "@/api/types";

import { mergeRows } from "./merge";

const ROWS_MAX = 2000;

/**
 * The newest rows the stream brought, per tab and account. A list that is fetched while rows arrive is merged with them,
 * so that an answer which is older than a row cannot make the row vanish.
 */
export class Ring {
  private rows: readonly Transaction[] = [];
  /** Lists must be read at or above this entry: what lies below does not come by the stream. */
  floorSeq = 0;

  push(incoming: readonly Transaction[]): void {
    this.rows = mergeRows(this.rows, incoming, ROWS_MAX);
  }

  /** The stream begins (again) behind `seq`. */
  begin(seq: number): void {
    this.floorSeq = Math.max(this.floorSeq, seq);
  }

  /** The stream jumped: nothing in here can be trusted to be without a gap. */
  resync(seq: number): void {
    this.rows = [];
    this.floorSeq = seq;
  }

  matching(eventId: string | null): readonly Transaction[] {
    return eventId === null ? this.rows : this.rows.filter((row) => row.event_id === eventId);
  }
}
