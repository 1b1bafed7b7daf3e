import { ApiProblem } from "@/api/problem";

/** Why a link shows nothing any more, or never did. */
export type Refusal = "expired" | "invalid" | "narrow" | "missing";

/** What an answer says about the link itself; null: it passes by itself, and the widget says so in its place. */
export function refusalOf(error: unknown): Refusal | null {
  if (!(error instanceof ApiProblem)) return null;
  switch (error.status) {
    case 401:
      return error.detail?.includes("expired") === true ? "expired" : "invalid";
    case 403:
      return "narrow";
    case 404:
      return "missing";
    default:
      return null;
  }
}
