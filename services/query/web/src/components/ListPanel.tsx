import type { ReactNode } from "react";

import { text } from "@/text";

import { Button } from "./Button";
import { Panel, type PanelProps } from "./Panel";
import { QueryState, type QueryStateProps } from "./QueryState";
import { Skeleton } from "./Skeleton";

/** Of a list that is read page by page. */
interface Paged {
  hasNextPage?: boolean;
  isFetchingNextPage?: boolean;
  fetchNextPage?: () => unknown;
}

export interface ListPanelProps<D, T> extends Omit<PanelProps, "children" | "flush"> {
  query: QueryStateProps<D>["query"] & Paged;
  rowsOf: (data: D) => readonly T[];
  /** Rows that the skeleton stands for. */
  lines: number;
  /** In place of the rows where there are none. */
  empty: ReactNode;
  children: (rows: readonly T[], data: D) => ReactNode;
  /** Below the rows, whatever became of them: notes, dialogs. */
  after?: ReactNode;
}

/** A list in a panel: skeleton, problem, nothing, or its rows from edge to edge, and a button for more of them. */
export function ListPanel<D, T>({ query, rowsOf, lines, empty, children, after, ...panel }: ListPanelProps<D, T>) {
  return (
    <Panel {...panel} flush>
      <QueryState
        query={query}
        skeleton={
          <div className="list-skeleton">
            <Skeleton height="2.2rem" lines={lines} />
          </div>
        }
      >
        {(data) => {
          const rows = rowsOf(data);
          return rows.length === 0 ? empty : children(rows, data);
        }}
      </QueryState>
      {query.hasNextPage === true ? (
        <p className="list-more">
          <Button size="small" busy={query.isFetchingNextPage ?? false} onClick={() => void query.fetchNextPage?.()}>
            {text.common.loadMore}
          </Button>
        </p>
      ) : null}
      {after}
    </Panel>
  );
}

/** The rows of one page. */
export const ofPage = <T,>({ data }: { data: readonly T[] }): readonly T[] => data;

/** The rows of all pages so far. */
export const ofPages = <T,>({ pages }: { pages: readonly { data: readonly T[] }[] }): readonly T[] => pages.flatMap(ofPage);
