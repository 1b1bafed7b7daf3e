import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "react-router";

import { keys } from "@/api/keys";
import { ApiProblem } from "@/api/problem";
import { publishBook } from "@/api/queries/price-books";
import { priceBookQuery } from "@/api/queries/prices";
import type { PriceBook } from "@/api/types";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ProblemPanel } from "@/components/ProblemPanel";
import { formatDateTime } from "@/format";
import { text } from "@/text";

const { editor: words } = text.priceBooks;
const ZONE = "UTC";
const READ_MS = 250;
const READS_MAX = 40;

function isNotThereYet(reads: number, error: Error): boolean {
  return error instanceof ApiProblem && error.status === 404 && reads < READS_MAX;
}

interface Props {
  book: PriceBook;
  document: string;
  /** Puts the errors at their place, and closes this, where they have one. */
  onRefused: (error: unknown) => void;
  onClose: () => void;
}

/** Asks before a version is published: it cannot be taken back. */
export function PublishDialog({ book, document, onRefused, onClose }: Props) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const publish = useMutation({
    mutationFn: () => publishBook(book.version, document),
    onError: (error) => onRefused(error),
    onSuccess: async ({ version }) => {
      // Ingest took it; query reads of it a moment later.
      await queryClient.fetchQuery({ ...priceBookQuery(version), retry: isNotThereYet, retryDelay: READ_MS });
      await queryClient.invalidateQueries({ queryKey: keys.priceBooks });
      void navigate(`/price-books/${String(version)}`);
    },
  });
  const at = Date.parse(book.effective_from);
  const when = Number.isNaN(at) ? book.effective_from : `${formatDateTime(book.effective_from, ZONE)} ${ZONE}`;
  return (
    <Dialog title={words.question(String(book.version))} onClose={onClose} closable={!publish.isPending}>
      <p>{words.when(when)}</p>
      {publish.error === null ? null : <ProblemPanel error={publish.error} />}
      <div className="dialog-actions">
        <Button onClick={onClose}>{text.common.cancel}</Button>
        <Button variant="primary" autoFocus busy={publish.isPending} onClick={() => publish.mutate()}>
          {words.publish}
        </Button>
      </div>
    </Dialog>
  );
}
