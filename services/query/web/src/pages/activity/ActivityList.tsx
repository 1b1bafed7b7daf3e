import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";

import { transactionsQuery } from "@/api/queries/transactions";
import type { Service } from "@/api/types";
import { Badge } from "@/components/Badge";
import { Button, buttonClass } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Icon } from "@/components/Icon";
import { ProblemPanel } from "@/components/ProblemPanel";
import { Skeleton } from "@/components/Skeleton";
import { formatCount, isLate } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { emptyTitle } from "./describe";
import { csvAddress, isFiltered, toQuery, type Filters } from "./filters";
import { FreshNotice } from "./FreshNotice";
import { VirtualLedger } from "./VirtualLedger";

const { activity } = text;
const PAGE_ROWS = 100;

interface Props {
  filters: Filters;
  services: readonly Service[];
  openId: string | null;
  onOpen: (entryId: string | null) => void;
  onClear: () => void;
}

export function ActivityList({ filters, services, openId, onOpen, onClear }: Props) {
  const { accountId, zone } = useAccount();
  const queryClient = useQueryClient();
  const asked = useMemo(() => ({ ...toQuery(filters, zone), limit: PAGE_ROWS }), [filters, zone]);
  const options = transactionsQuery(accountId, asked);
  const query = useInfiniteQuery(options);
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data]);
  const late = useMemo(() => rows.filter((row) => row.type === "consume" && isLate(row.occurred_at, row.posted_at)).length, [rows]);

  if (query.data === undefined) {
    if (query.error !== null) return <ProblemPanel error={query.error} onRetry={() => void query.refetch()} />;
    return (
      <div className="list-skeleton">
        <Skeleton height="2.2rem" lines={12} />
      </div>
    );
  }
  // From the newest again: what was loaded below is loaded when it is scrolled to.
  const reload = () => {
    window.scrollTo({ top: 0 });
    void queryClient.resetQueries({ queryKey: options.queryKey, exact: true });
  };
  return (
    <>
      <div className="list-bar">
        <span className="tabular" data-testid="loaded">
          {activity.loaded(formatCount(rows.length), query.hasNextPage)}
        </span>
        {late === 0 ? null : (
          <Badge tone="warning" icon="clock" title={activity.lateTitle}>
            {activity.late(formatCount(late))}
          </Badge>
        )}
        <span className="list-bar-end">
          <span className="list-keys">{activity.keys}</span>
          <a
            className={buttonClass("plain", "small")}
            href={csvAddress(accountId, asked, zone)}
            download
            title={activity.csvTitle}
          >
            <Icon name="download" size={15} />
            {activity.csv}
          </a>
        </span>
      </div>
      <FreshNotice filters={filters} newestSeq={rows[0]?.seq ?? 0} onShow={reload} />
      {rows.length === 0 ? (
        <Empty filters={filters} services={services} onClear={onClear} />
      ) : (
        <div className={query.isPlaceholderData ? "refetching" : undefined} aria-busy={query.isPlaceholderData}>
          <VirtualLedger rows={rows} zone={zone} openId={openId} onOpen={onOpen} />
        </div>
      )}
      <More
        more={query.hasNextPage && !query.isPlaceholderData}
        busy={query.isFetchingNextPage}
        failed={query.isFetchNextPageError}
        onMore={() => void query.fetchNextPage({ cancelRefetch: false })}
        ended={rows.length > PAGE_ROWS / 2 && !query.hasNextPage}
      />
    </>
  );
}

function Empty({ filters, services, onClear }: { filters: Filters; services: readonly Service[]; onClear: () => void }) {
  if (!isFiltered(filters)) {
    return (
      <EmptyState icon="activity" title={activity.emptyAccount}>
        {activity.emptyAccountText}
      </EmptyState>
    );
  }
  return (
    <EmptyState
      icon="search"
      title={emptyTitle(filters, services)}
      actions={
        <Button size="small" onClick={onClear}>
          {activity.clear}
        </Button>
      }
    />
  );
}

interface MoreProps {
  more: boolean;
  busy: boolean;
  failed: boolean;
  ended: boolean;
  onMore: () => void;
}

/** Loads the next page when its place comes into view; a button where that failed. */
function More({ more, busy, failed, ended, onMore }: MoreProps) {
  const place = useRef<HTMLDivElement>(null);
  const load = useRef(onMore);
  useEffect(() => {
    load.current = onMore;
  });
  const watch = more && !busy && !failed;
  useEffect(() => {
    const element = place.current;
    if (element === null || !watch) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) load.current();
      },
      { rootMargin: "600px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [watch]);
  if (!more && !ended) return null;
  return (
    <div ref={place} className="list-end" role="status">
      {failed ? (
        <Button size="small" onClick={onMore}>
          {text.common.loadMore}
        </Button>
      ) : more ? (
        activity.loadingMore
      ) : (
        activity.end
      )}
    </div>
  );
}
