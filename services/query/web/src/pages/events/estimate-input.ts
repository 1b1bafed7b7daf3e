export interface EstimateInput {
  readonly guests: string;
  readonly operations: string;
}

export const ESTIMATE_DEFAULT: EstimateInput = { guests: "150", operations: "1.25" };

const GUESTS_MAX = 100_000;
const OPERATIONS_MAX = 100;

/** What was typed as the API takes it, or which of the two makes no sense. */
export function parseEstimate(
  input: EstimateInput,
): { ok: true; guests: number; operations: string } | { ok: false; guests: boolean; operations: boolean } {
  const guests = /^\d{1,6}$/.test(input.guests.trim()) ? Number(input.guests.trim()) : 0;
  const operations = input.operations.trim();
  const guestsFine = guests >= 1 && guests <= GUESTS_MAX;
  const operationsFine =
    /^\d{1,3}(\.\d{1,2})?$/.test(operations) && Number(operations) > 0 && Number(operations) <= OPERATIONS_MAX;
  if (guestsFine && operationsFine) return { ok: true, guests, operations };
  return { ok: false, guests: !guestsFine, operations: !operationsFine };
}
