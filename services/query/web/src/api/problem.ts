import type { ProblemBody } from "./types";

/** What a request came to when it came to nothing good: a problem+json answer, or no answer at all (status 0). */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string | undefined;
  readonly requestId: string | undefined;
  readonly errors: readonly { pointer: string; detail: string }[];
  /** All members, for those a code adds (`missing`, `reason`). */
  readonly body: Readonly<Record<string, unknown>>;
  readonly retryAfterS: number | undefined;

  constructor(status: number, body: Partial<ProblemBody> & Record<string, unknown>, retryAfterS?: number) {
    super(body.title ?? `HTTP ${status}`);
    this.name = "ApiProblem";
    this.status = status;
    this.code = body.code ?? (status === 0 ? "unreachable" : `http_${status}`);
    this.title = body.title ?? `HTTP ${status}`;
    this.detail = body.detail ?? undefined;
    this.requestId = body.request_id ?? undefined;
    this.errors = body.errors ?? [];
    this.body = body;
    this.retryAfterS = retryAfterS;
  }

  /** The route, or what it names, does not exist: the panel says so instead of offering a retry. */
  get isMissing(): boolean {
    return this.status === 404 || this.status === 405 || this.code === "not_json";
  }

  /** The session is over. */
  get isSignedOut(): boolean {
    return this.status === 401;
  }

  /** Worth another try of the same request, by itself. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

/** What a refusal says about the first of these places of the body, where it says something about one of them. */
export function detailAt(error: unknown, ...pointers: string[]): string | undefined {
  if (!(error instanceof ApiProblem)) return undefined;
  const detail = error.errors.find((one) => pointers.includes(one.pointer))?.detail;
  return detail === undefined ? undefined : sentence(detail);
}

/** The service's words as they begin a line: `must begin with https://` is `Must begin with https://`. */
export function sentence(detail: string): string {
  // A code or an address keeps its letters: `webhooks.secret is not set`, `acc_luna has no plan`.
  const [first = ""] = detail.split(" ", 1);
  return /^[a-z]+[,:]?$/.test(first) ? first.charAt(0).toUpperCase() + detail.slice(1) : detail;
}

export async function problemOf(response: Response, body: unknown): Promise<ApiProblem> {
  const members = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const requestId = response.headers.get("X-Request-Id");
  if (members.request_id === undefined && requestId !== null) members.request_id = requestId;
  return new ApiProblem(response.status, members, retryAfter(response));
}

export function retryAfter(response: Response): number | undefined {
  const value = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
