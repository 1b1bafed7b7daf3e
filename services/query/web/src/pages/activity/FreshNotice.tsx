import { useEffect, useState } from "react";

import { Button } from "@/components/Button";
import { isoDate } from "@/format";
import { useLive } from "@/live/context";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { matches, type Filters } from "./filters";

interface Props {
  filters: Filters;
  newestSeq: number;
  onShow: () => void;
}

/** Counts what arrived and would be in the list. The list itself stands still while it is read. */
export function FreshNotice({ filters, newestSeq, onShow }: Props) {
  const live = useLive();
  const { zone } = useAccount();
  const [seqs, setSeqs] = useState<readonly number[]>([]);
  useEffect(() => {
    const stop = live?.subscribe((batch) => {
      const fresh = batch.transactions
        .filter((row) => matches(row, filters, (instant) => isoDate(instant, zone)))
        .map((row) => row.seq);
      if (fresh.length > 0) setSeqs((before) => [...new Set([...before, ...fresh])]);
    });
    return () => {
      stop?.();
      // Other filters, another count.
      setSeqs([]);
    };
  }, [live, zone, filters]);

  const count = seqs.filter((seq) => seq > newestSeq).length;
  if (count === 0) return null;
  return (
    <div className="list-fresh">
      <Button
        size="small"
        variant="primary"
        onClick={() => {
          setSeqs([]);
          onShow();
        }}
      >
        {text.activity.fresh(count)}
      </Button>
    </div>
  );
}
