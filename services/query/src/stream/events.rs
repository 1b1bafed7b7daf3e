//! Events as they are written.

use axum::response::sse::Event;
use serde::Serialize;
use tollbooth_schemas::time::{serde_rfc3339, serde_rfc3339_option};
use utoipa::ToSchema;

use super::{Out, Position, Usage};
use crate::activity::{ActivityRow, AlertBody, Transaction};
use crate::amount::{AmountBody, QuantityText};
use crate::live::Balance;
use crate::metrics::StreamEvent;
use crate::prices::Names;

/// `event: ready`: the stream begins.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamReady {
    account_id: String,
    /// Everything up to this entry was delivered before, or is to be loaded by other requests.
    seq: u64,
}

/// `event: balance`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamBalance {
    balance: AmountBody,
    held: AmountBody,
    available: AmountBody,
    /// The newest entry.
    seq: u64,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    as_of: i64,
}

/// `event: usage`: what the entries `(after_seq, to_seq]` add to sums.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamUsage {
    after_seq: u64,
    to_seq: u64,
    data: Vec<StreamUsageLine>,
}

/// What is added in one place; below zero for what was given back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamUsageLine {
    /// The quarter of an hour of `occurred_at`, UTC: a late entry is in an old one.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    start: i64,
    service: String,
    engine: String,
    /// Both as people read them.
    service_name: Option<String>,
    event_id: Option<String>,
    count: i64,
    failures: i64,
    #[schema(value_type = String)]
    quantity: QuantityText,
    amount: AmountBody,
}

/// `event: resync`: entries in between cannot be had here. Load anew what is shown; the stream goes on behind `seq`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamResync {
    /// Read with `min_seq` of this.
    seq: u64,
    /// `too_far_behind`, `history_unavailable`, `gap` or `ahead`.
    reason: &'static str,
}

/// `event: stale`: the ledger cannot be followed at the moment, or can again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamStale {
    /// What was posted before this moment was told; nobody knows what came since. `null`: everything is told again.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<i64>,
}

/// The event of an output, and how it is counted.
pub(crate) fn event(
    account_id: &str,
    currency: &str,
    names: &Names,
    out: Out,
    position: Position,
) -> (Result<Event, axum::Error>, StreamEvent) {
    let money = |micros: i128| AmountBody::new(micros, currency);
    let event = Event::default().id(position.to_string());
    match out {
        Out::Ready => {
            let body = StreamReady { account_id: account_id.to_owned(), seq: position.transactions };
            (event.event("ready").json_data(body), StreamEvent::Ready)
        }
        Out::Balance(Balance { seq, balance_micros, held_micros, as_of_ms, .. }) => {
            let body = StreamBalance {
                balance: money(balance_micros.into()),
                held: money(held_micros.into()),
                available: money(i128::from(balance_micros) - i128::from(held_micros)),
                seq,
                as_of: as_of_ms,
            };
            (event.event("balance").json_data(body), StreamEvent::Balance)
        }
        Out::Transaction(row) => {
            let body = Transaction::of_row(account_id, currency, names, *row);
            (event.event("transaction").json_data(body), StreamEvent::Transaction)
        }
        Out::Alert(row) => {
            let ActivityRow { seq, event_id, alert, .. } = *row;
            let body =
                AlertBody::new(account_id, currency, seq, &event_id, alert.map(|alert| *alert).unwrap_or_default());
            (event.event("alert").json_data(body), StreamEvent::Alert)
        }
        Out::Usage(usage) => (event.event("usage").json_data(usage_body(usage, currency, names)), StreamEvent::Usage),
        Out::Stale(since) => (event.event("stale").json_data(StreamStale { since }), StreamEvent::Stale),
        Out::Resync(reason) => {
            let body = StreamResync { seq: position.transactions, reason };
            (event.event("resync").json_data(body), StreamEvent::Resync)
        }
    }
}

fn usage_body(usage: Usage, currency: &str, names: &Names) -> StreamUsage {
    let data = usage.lines.into_iter().map(|((start, service, engine, event_id), line)| StreamUsageLine {
        start,
        service_name: names.work(&service, &engine),
        service,
        engine,
        event_id: if event_id.is_empty() { None } else { Some(event_id) },
        count: line.count,
        failures: line.failures,
        quantity: QuantityText(line.quantity_micros),
        amount: AmountBody::new(line.spent_micros, currency),
    });
    StreamUsage { after_seq: usage.after_seq, to_seq: usage.to_seq, data: data.collect() }
}
