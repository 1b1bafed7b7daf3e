//! The inputs: what booths report and operators order, as bytes, and a worker's view of them.

use prost::Message as _;
use tollbooth_chassis::kafka::batch;
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::{
    time::rfc3339,
    usage::STRUCTURED_CONTENT_TYPE,
    v1::{Command, OpenAccount, PostAdjustment, command::Body},
};

use super::bounds::{Bounds, Input};
use crate::worker::outside::{Batch, SourceRecord};

pub(super) const ACCOUNT: &str = "acc_luna";
/// When everything happens: 2026-11-21T20:15:03Z. Time is no part of this world.
pub(super) const NOW_MS: i64 = 1_795_292_103_000;

/// Both topics.
pub(super) struct Sources {
    topics: [(&'static str, Vec<Vec<u8>>); 2],
}

impl Sources {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let usage = bounds.usage.iter().map(|input| report(*input)).collect();
        let opening = OpenAccount {
            plan: "basic".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "UTC".to_owned(),
            ..OpenAccount::default()
        };
        let mut commands = vec![command(0, Body::OpenAccount(opening))];
        for number in 1..=bounds.commands {
            let posting =
                PostAdjustment { amount_micros: 5_000_000, reason: "top_up".to_owned(), ..PostAdjustment::default() };
            commands.push(command(number, Body::PostAdjustment(posting)));
        }
        Self { topics: [("usage", usage), ("commands", commands)] }
    }

    /// Records of a topic from one offset to another, exclusive.
    pub(super) fn read(&self, topic: usize, from: i64, until: i64) -> SourceBatch<'_> {
        let (name, records) = &self.topics[topic];
        let index = |offset: i64| usize::try_from(offset).expect("an offset");
        SourceBatch { topic: name, from, records: &records[index(from)..index(until)] }
    }
}

fn report(input: Input) -> Vec<u8> {
    let (operation, attempt) = match input {
        Input::Charge(operation) => (operation, 1),
        Input::Again(operation) => (operation, 2),
        Input::Broken => return b"{".to_vec(),
    };
    let event = serde_json::json!({
        "specversion": "1.0", "id": format!("{operation}-{attempt}"), "source": "/booths/bth_1",
        "type": "tollbooth.usage.v1", "subject": ACCOUNT, "time": rfc3339(NOW_MS),
        "data": {"operation_id": format!("op_{operation}"), "attempt": attempt, "service": "ai_modify", "engine": "nano",
                 "unit": "image", "quantity": "1", "status": "success"}
    });
    event.to_string().into_bytes()
}

fn command(number: u8, body: Body) -> Vec<u8> {
    let command = Command {
        account_id: ACCOUNT.to_owned(),
        idempotency_key: number.to_string(),
        body_hash: vec![number],
        body: Some(body),
        ..Command::default()
    };
    command.encode_to_vec()
}

pub(super) fn books() -> PriceBooks {
    let book = serde_json::json!({
        "version": 1, "currency": "USD", "effective_from": "2025-01-01T00:00:00Z",
        "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
        "services": [{"code": "ai_modify", "name": "AI Modify"}], "engines": [{"code": "nano", "name": "Nano"}],
        "prices": [{"service": "ai_modify", "engine": "nano", "unit": "image", "model": "per_unit",
                    "plans": {"basic": "0.2"}}]
    });
    let mut books = PriceBooks::default();
    assert!(books.publish(serde_json::from_value(book).expect("a price book")));
    books
}

/// Records of one read.
#[derive(Clone, Copy)]
pub(super) struct SourceBatch<'s> {
    topic: &'static str,
    from: i64,
    records: &'s [Vec<u8>],
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Source<'b> {
    topic: &'static str,
    offset: i64,
    payload: &'b [u8],
}

impl Batch for SourceBatch<'_> {
    type Record<'b>
        = Source<'b>
    where
        Self: 'b;

    fn len(&self) -> usize {
        self.records.len()
    }

    fn get(&self, index: usize) -> Option<Source<'_>> {
        let payload = self.records.get(index)?;
        let offset = self.from + i64::try_from(index).expect("few");
        Some(Source { topic: self.topic, offset, payload })
    }

    fn iter(&self) -> impl Iterator<Item = Source<'_>> {
        (0..self.records.len()).filter_map(|index| self.get(index))
    }
}

impl<'b> SourceRecord<'b> for Source<'b> {
    fn topic(self) -> &'b str {
        self.topic
    }

    fn partition(self) -> i32 {
        0
    }

    fn offset(self) -> i64 {
        self.offset
    }

    fn key(self) -> Option<&'b [u8]> {
        Some(ACCOUNT.as_bytes())
    }

    fn payload(self) -> Option<&'b [u8]> {
        Some(self.payload)
    }

    fn appended_ms(self) -> Option<i64> {
        Some(NOW_MS)
    }

    fn headers(self) -> impl Iterator<Item = batch::Header<'b>> {
        std::iter::once(("content-type", Some(STRUCTURED_CONTENT_TYPE.as_bytes())))
    }
}
