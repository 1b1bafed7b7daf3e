import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate, useSearchParams } from "react-router";

import { eventsQuery } from "@/api/queries/events";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { TextField } from "@/components/TextField";
import { useDebounced } from "@/components/useDebounced";
import { usePageTitle } from "@/components/usePageTitle";
import { zoneCity } from "@/format";
import { useAccount, useSession } from "@/session/context";
import { text } from "@/text";

import { EventDialog } from "./edit/EventDialog";
import "./events.css";
import { EventTable } from "./EventTable";

const { list } = text.events;

/** Every event of the account; the search is part of the address. */
export default function EventsPage() {
  const { zone } = useAccount();
  usePageTitle(text.events.title);
  const [search, setSearch] = useSearchParams();
  const [typed, setTyped] = useState(search.get("q") ?? "");
  const q = useDebounced(typed.trim());
  const { isAdmin } = useSession();
  const navigate = useNavigate();
  const [making, setMaking] = useState(false);
  const type = (value: string) => {
    setTyped(value);
    // Each letter would be a step back: the address follows without one.
    setSearch(value.trim() === "" ? {} : { q: value.trim() }, { replace: true });
  };
  return (
    <div className="page">
      <header className="page-head">
        <h1>{text.events.title}</h1>
        <p className="page-note" title={zone}>
          {text.common.zone(zoneCity(zone))}
        </p>
      </header>
      <div className="events-tools">
        <div className="events-search">
          <TextField
            label={text.events.search}
            hideLabel
            type="search"
            placeholder={`${text.events.search}: ${text.events.searchHint.toLowerCase()}`}
            value={typed}
            onChange={(event) => {
              type(event.target.value);
            }}
          />
        </div>
        {isAdmin && <Button onClick={() => setMaking(true)}>{text.events.edit.new}</Button>}
      </div>
      {making && (
        <EventDialog
          event={null}
          onClose={() => setMaking(false)}
          onSaved={(event) => void navigate(`/events/${encodeURIComponent(event.event_id)}/analytics`)}
        />
      )}
      <EventList
        q={q}
        onClear={() => {
          type("");
        }}
      />
    </div>
  );
}

function EventList({ q, onClear }: { readonly q: string; readonly onClear: () => void }) {
  const { accountId } = useAccount();
  const query = useInfiniteQuery(eventsQuery(accountId, q));
  return (
    <section className="panel" aria-label={text.events.title}>
      <QueryState query={query} skeleton={<Skeleton height="3.25rem" lines={6} />}>
        {({ pages }) => {
          const rows = pages.flatMap((page) => page.data);
          if (rows.length === 0) return <NoEvents q={q} onClear={onClear} />;
          return <EventTable rows={rows} />;
        }}
      </QueryState>
      {query.hasNextPage && (
        <div className="list-more">
          <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {text.common.loadMore}
          </Button>
        </div>
      )}
    </section>
  );
}

function NoEvents({ q, onClear }: { readonly q: string; readonly onClear: () => void }) {
  if (q === "") {
    return (
      <EmptyState icon="events" title={list.none}>
        {list.noneText}
      </EmptyState>
    );
  }
  return <EmptyState icon="search" title={list.noMatch(q)} actions={<Button onClick={onClear}>{list.clear}</Button>} />;
}
