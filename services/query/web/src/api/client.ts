import createClient from "openapi-fetch";

import { takeBegun } from "./begun";
import type { ContractPaths } from "./contract";
import { ApiProblem, problemOf } from "./problem";
import type { paths } from "./schema";

// The one way to the API: same origin, the session's cookie, and its CSRF token on what writes. Every failure is an
// ApiProblem.

const REQUEST_TIMEOUT_MS = 35_000;

let csrfToken: string | null = null;

export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

let bearer: string | null = null;

/** For embedded widgets: a portal token in place of the session's cookie. */
export function setBearer(token: string | null): void {
  bearer = token;
}

/** The token as a header, for what does not go through `api`. */
export function bearerHeader(): Record<string, string> {
  return bearer === null ? {} : { Authorization: `Bearer ${bearer}` };
}

async function send(request: Request): Promise<Response> {
  if (request.method !== "GET" && csrfToken !== null) request.headers.set("X-CSRF-Token", csrfToken);
  if (bearer !== null) request.headers.set("Authorization", `Bearer ${bearer}`);
  const deadline = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  let response: Response;
  try {
    response = await (takeBegun(request) ?? fetch(request, { signal: AbortSignal.any([request.signal, deadline]) }));
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    throw new ApiProblem(0, { title: "The server cannot be reached", code: "unreachable" });
  }
  if (response.ok && response.status !== 204 && !isJson(response)) {
    // The dashboard's own page in place of an answer: the service does not know the route.
    throw new ApiProblem(404, { title: "Not available on this server", code: "not_json" });
  }
  return response;
}

function isJson(response: Response): boolean {
  return (response.headers.get("Content-Type") ?? "").includes("json");
}

export const api = createClient<Omit<paths, keyof ContractPaths> & ContractPaths>({
  // Requests need an absolute address outside of a browser (tests).
  baseUrl: globalThis.location?.origin ?? "http://127.0.0.1",
  credentials: "same-origin",
  fetch: send,
  // `service=a&service=b`.
  querySerializer: { array: { style: "form", explode: true } },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a good answer; throws an ApiProblem for any other. */
export async function unwrap<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (error !== undefined || !response.ok) throw await problemOf(response, error);
  return data as T;
}

/** The same with the response, for status codes that mean something (202). */
export async function unwrapWithResponse<T>(answer: Promise<Answer<T>>): Promise<{ data: T; response: Response }> {
  const { data, error, response } = await answer;
  if (error !== undefined || !response.ok) throw await problemOf(response, error);
  return { data: data as T, response };
}
