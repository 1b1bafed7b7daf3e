/** Without a stream, everything is asked for again this often. */
const POLL_MS = 10_000;
/** With one, now and then: for what no stream tells, such as a new month. */
const BACKSTOP_MS = 60_000;

/** How often a widget asks again. */
export class Pace {
  private isLive = false;

  setLive(isLive: boolean): void {
    this.isLive = isLive;
  }

  readonly refetchMs = (): number => (this.isLive ? BACKSTOP_MS : POLL_MS);
}
