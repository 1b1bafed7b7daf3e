import type { PriceBookListed } from "@/api/types";
import { Badge } from "@/components/Badge";
import { text } from "@/text";

const { priceBooks: words } = text;
const TONES = { current: "success", next: "info", past: "neutral" } as const;

export function stateOf(book: PriceBookListed): "current" | "next" | "past" {
  if (book.in_force) return "current";
  return Date.parse(book.effective_from) > Date.now() ? "next" : "past";
}

export function BookState({ book }: { book: PriceBookListed }) {
  const state = stateOf(book);
  return <Badge tone={TONES[state]}>{words[state]}</Badge>;
}
