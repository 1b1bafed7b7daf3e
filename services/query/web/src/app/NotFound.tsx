import { Link } from "react-router";

import { buttonClass } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { text } from "@/text";

export function NotFound() {
  const { title, text: sentence, back } = text.common.notFound;
  return (
    <EmptyState
      page
      icon="search"
      title={title}
      actions={
        <Link to="/" className={buttonClass("primary")}>
          {back}
        </Link>
      }
    >
      {sentence}
    </EmptyState>
  );
}
