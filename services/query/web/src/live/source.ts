/** `EventSource.CLOSED`: nobody connects again by itself. */
export const CLOSED = 2;

export type LiveListener = (event: { readonly data: string; readonly lastEventId: string }) => void;

/** What a stream is read from: an `EventSource`, or a `FetchSource` where a token has to be sent. */
export interface LiveSource {
  readonly readyState: number;
  addEventListener: (name: string, listener: LiveListener) => void;
  close: () => void;
}

export function browserSource(url: string): LiveSource {
  const source = new EventSource(url);
  return {
    get readyState() {
      return source.readyState;
    },
    addEventListener: (name, listener) => source.addEventListener(name, (event: MessageEvent<string>) => listener(event)),
    close: () => source.close(),
  };
}
