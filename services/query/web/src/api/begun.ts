/** A request that public/start.js sent before the program was there. */
interface Begun {
  path: string;
  response: Promise<Response>;
}

declare global {
  // Globals are declared by `var`.
  var tollboothBegun: Begun | undefined;
}

/** The answer to the request where it was sent already. It is taken once: whoever asks again asks the service. */
export function takeBegun(request: Request): Promise<Response> | null {
  const begun = globalThis.tollboothBegun;
  if (begun === undefined || request.method !== "GET" || new URL(request.url).pathname !== begun.path) return null;
  globalThis.tollboothBegun = undefined;
  return begun.response;
}
