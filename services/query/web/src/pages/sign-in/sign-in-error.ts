import { ApiProblem, sentence } from "@/api/problem";
import { text } from "@/text";

const KEY = /^tb_[a-z]{2}_(live|test)_[A-Za-z0-9]{8,}$/;

/** What is wrong with a key before it is sent, or null. The first admin key comes from configuration and has any shape. */
export function keyError(key: string): string | null {
  if (key === "") return text.signIn.required;
  if (/\s/.test(key) || (!KEY.test(key) && !key.startsWith("tb_"))) return text.signIn.malformed;
  return null;
}

/** Why the server said no. */
export function signInError(error: unknown): string {
  if (!(error instanceof ApiProblem)) return text.common.problem.title;
  if (error.status === 401) return text.signIn.refused;
  if (error.status === 403) return text.signIn.booth;
  if (error.status === 429) return text.signIn.tooMany(error.retryAfterS ?? 60);
  if (error.isMissing) return text.signIn.unavailable;
  return sentence(error.detail ?? error.title);
}
