import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";

import { servicesQuery } from "@/api/queries/prices";
import type { TransactionDetail } from "@/api/types";
import { CopyButton } from "@/components/CopyButton";
import { Instant } from "@/components/Instant";
import { MoneyText } from "@/components/MoneyText";
import { zoneCity } from "@/format";
import { text } from "@/text";

import { useEventNames } from "./useEventNames";

const { detail } = text.activity;

interface Fact {
  label: string;
  value: ReactNode;
}

type Optional = string | null | undefined;

/** Where, when, and from which record. */
export function EntryFacts({ entry, zone }: { entry: TransactionDetail; zone: string }) {
  const at = (label: string, instant: Optional): Fact[] =>
    instant ? [{ label, value: <Instant at={instant} zone={zone} /> }] : [];
  const plain = (label: string, value: Optional): Fact[] => (value ? [{ label, value }] : []);
  const id = (label: string, value: Optional): Fact[] =>
    value
      ? [
          {
            label,
            value: (
              <>
                <code>{value}</code>
                <CopyButton value={value} label={label} />
              </>
            ),
          },
        ]
      : [];
  const eventName = useEventNames();
  const engine = useQuery(servicesQuery).data?.data.find((service) => service.engine === entry.engine);
  const { source } = entry;
  return (
    <>
      <Facts
        title={detail.where}
        facts={[
          ...(entry.event_id
            ? [{ label: detail.event, value: <Link to={`/events/${entry.event_id}/analytics`}>{eventName(entry.event_id)}</Link> }]
            : []),
          ...(entry.booth_id
            ? [{ label: detail.booth, value: <Link to={`/activity?booth=${entry.booth_id}`}>{entry.booth_id}</Link> }]
            : []),
          ...plain(detail.engine, engine?.engine_name ?? entry.engine),
          ...plain(detail.variant, entry.variant && text.pricing.variant(entry.variant)),
          ...plain(detail.country, entry.country),
          ...plain(detail.reason, entry.reason?.replaceAll("_", " ")),
          ...plain(detail.note, entry.note),
          ...plain(detail.accountName, entry.account_name),
          ...plain(detail.accountZone, entry.time_zone && text.common.zone(zoneCity(entry.time_zone))),
          ...(entry.provider_cost
            ? [{ label: detail.cost, value: <MoneyText money={entry.provider_cost} places="exact" /> }]
            : []),
        ]}
      />
      <Facts
        title={detail.when}
        note={text.common.zone(zoneCity(zone))}
        facts={[
          ...at(detail.captured, entry.captured_at),
          ...at(detail.occurred, entry.occurred_at),
          ...at(detail.received, entry.received_at),
          ...at(detail.posted, entry.posted_at),
        ]}
      />
      <Facts
        title={detail.record}
        facts={[
          ...id(detail.operation, entry.operation_id),
          ...id(detail.hold, entry.hold_id),
          ...id(detail.entry, entry.entry_id),
          ...plain(detail.actor, entry.actor),
          ...plain(
            detail.source,
            source ? detail.sourceText(source.topic, source.partition, source.offset) : null,
          ),
        ]}
      />
    </>
  );
}

function Facts({ title, note, facts }: { title: string; note?: string; facts: readonly Fact[] }) {
  if (facts.length === 0) return null;
  return (
    <section className="detail-section" aria-label={title}>
      <h3>
        {title} {note === undefined ? null : <span className="detail-note">{note}</span>}
      </h3>
      <dl className="detail-facts">
        {facts.map((fact) => (
          <div key={fact.label} className="detail-fact">
            <dt>{fact.label}</dt>
            <dd>{fact.value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
