import { EmptyState } from "@/components/EmptyState";
import { usePageTitle } from "@/components/usePageTitle";
import { text } from "@/text";

import type { Refusal } from "./refusal";

/** In place of a widget whose link opens nothing: what is wrong, and what to do. */
export function EmbedRefused({ refusal }: { refusal: Refusal }) {
  const { title, text: sentence } = text.embed.refused[refusal];
  usePageTitle(title);
  return (
    <div role="alert">
      <EmptyState icon={refusal === "expired" ? "clock" : "alert"} title={title}>
        {sentence}
      </EmptyState>
    </div>
  );
}
