import { ApiProblem, detailAt } from "@/api/problem";
import { text } from "@/text";

const { refused: words } = text.webhooks;

/** Why an address cannot be told, for the field it was typed into; null: the refusal is about something else. */
export function refusedAddress(error: unknown): string | null {
  if (!(error instanceof ApiProblem)) return null;
  const detail = error.errors.find(({ pointer }) => pointer === "/url")?.detail;
  if (detail === undefined) return null;
  return words.address[detail] ?? detailAt(error, "/url") ?? null;
}

/** Any other refusal in words of our own, by its code; one without stays as it came. */
export function refusedOtherwise(error: Error | null): Error | null {
  if (!(error instanceof ApiProblem)) return error;
  const said = words.codes[error.code];
  return said === undefined ? error : new ApiProblem(error.status, { ...error.body, ...said }, error.retryAfterS);
}
