import type { Transaction } from "@/api/types";
import { text } from "@/text";

/** What stands under Service: the engine's pipeline, else what kind of money it is. */
export function serviceText(row: Transaction): string {
  return row.service_name ?? text.common.typeServices[row.type] ?? typeText(row.type);
}

export function typeText(type: string): string {
  return text.common.types[type] ?? type.replaceAll("_", " ");
}

export function statusText(status: string): string {
  return text.common.status[status] ?? status;
}
