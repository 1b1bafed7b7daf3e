/** As of an `EventSource`: the connection is over. */
export const CLOSED = 2;

export type LiveListener = (event: { readonly data: string; readonly lastEventId: string }) => void;

/**
 * What a stream is read from. Beside the stream's own events it tells `open`, `alive` whenever anything comes, comments
 * too, and `error` once it is over.
 */
export interface LiveSource {
  readonly readyState: number;
  addEventListener: (name: string, listener: LiveListener) => void;
  close: () => void;
}
