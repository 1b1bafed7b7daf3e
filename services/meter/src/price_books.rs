//! The price book as the meter knows it: every version, read to the end of its topic.
//!
//! A record that is no valid price book may be one that this release cannot read. Going on without it would charge
//! yesterday's prices, so usage waits until a valid book stands in the topic under the same key.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use rdkafka::error::KafkaError;
use tollbooth_chassis::{
    kafka::{
        KafkaClients, Watermarks,
        table::{TableError, TableRecord, TopicTable},
    },
    ops::{Component, Health},
    shutdown::Shutdown,
};
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::price_book::PriceBook;

/// Most keys with an unreadable record that are told apart; with more of them usage waits for a restart as well.
const UNREADABLE_MAX: usize = 100;

/// Why usage cannot be priced for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPriced {
    /// The end of the topic was not read, or too long ago.
    #[error("the price book was not read to its end")]
    Stale,
    /// A record of the topic is no price book that this release can read.
    #[error("{0}")]
    Unreadable(String),
    /// The broker did not say where the topic ends.
    #[error("cannot ask for the price book's end: {0}")]
    End(KafkaError),
}

/// What was read.
#[derive(Debug, Default)]
struct Shelf {
    books: PriceBooks,
    /// Why, by the record's key.
    unreadable: BTreeMap<Vec<u8>, String>,
    /// More than are told apart.
    is_overfull: bool,
}

impl Shelf {
    fn take(&mut self, record: TableRecord<'_>) {
        let (key, offset) = (record.key.unwrap_or_default(), record.offset);
        match record.payload.map(parse) {
            // A tombstone takes back what stood under its key, where that was no book: books stay.
            None => drop(self.unreadable.remove(key)),
            Some(Ok(book)) => {
                let version = book.version;
                let taken = self.books.publish(book);
                self.unreadable.remove(key);
                tracing::info!(version, taken, "price book read");
            }
            Some(Err(why)) => {
                tracing::error!(offset, %why, "price book refused: usage waits");
                let is_known = self.unreadable.contains_key(key);
                if is_known || self.unreadable.len() < UNREADABLE_MAX {
                    let key_text = String::from_utf8_lossy(key.get(..64).unwrap_or(key)).into_owned();
                    let why = format!("price-book offset {offset} (key {key_text:?}) is no price book: {why}");
                    self.unreadable.insert(key.to_owned(), why);
                } else {
                    self.is_overfull = true;
                }
            }
        }
    }

    fn trouble(&self) -> Option<String> {
        let first = self.unreadable.values().next().cloned();
        first.or_else(|| {
            self.is_overfull.then(|| "more records of price-book are unreadable than are counted".to_owned())
        })
    }
}

fn parse(payload: &[u8]) -> Result<PriceBook, String> {
    let book: PriceBook = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    match book.check().first() {
        None => Ok(book),
        Some(wrong) => Err(wrong.to_string()),
    }
}

/// A live view of the price-book topic.
#[derive(Debug)]
pub struct PriceBookView {
    shelf: Arc<RwLock<Shelf>>,
    topic: String,
    table: TopicTable,
    stale_after: Duration,
}

impl PriceBookView {
    /// Follows the topic. Two conditions of `health` belong to it: `price-book`, that it was read to its end, and
    /// `price-book-records`, that all of it could be read.
    ///
    /// # Errors
    /// When the reader cannot be made.
    pub fn spawn(
        clients: &KafkaClients,
        topic: &str,
        stale_after: Duration,
        health: &Health,
        shutdown: Shutdown,
    ) -> Result<Self, TableError> {
        let shelf = Arc::new(RwLock::new(Shelf::default()));
        let (target, records) = (Arc::clone(&shelf), health.component("price-book-records"));
        records.ready();
        let table = TopicTable::spawn(clients, topic, health.component("price-book"), shutdown, move |record| {
            let mut shelf = target.write();
            shelf.take(record);
            tell(&records, shelf.trouble());
        })?;
        Ok(Self { shelf, topic: topic.to_owned(), table, stale_after })
    }

    /// Blocks until the end was reached for the first time.
    #[must_use]
    pub fn wait_caught_up(&self, timeout: Duration) -> bool {
        self.table.wait_caught_up(timeout)
    }

    /// Every version known now.
    #[must_use]
    pub fn snapshot(&self) -> PriceBooks {
        self.shelf.read().books.clone()
    }

    /// Whether usage may be priced: the end was read, not too long ago, and so was every record before it.
    ///
    /// # Errors
    /// Why not.
    pub fn ensure_usable(&self) -> Result<(), NotPriced> {
        if !self.table.caught_up() || self.table.age_since_read_to_end() >= self.stale_after {
            return Err(NotPriced::Stale);
        }
        self.shelf.read().trouble().map_or(Ok(()), |why| Err(NotPriced::Unreadable(why)))
    }

    /// Blocks until everything was read that stood in the topic when this was called.
    ///
    /// # Errors
    /// When that was not so by `deadline`, or could not be read.
    pub fn wait_for_end(&self, watermarks: &Watermarks, deadline: Instant) -> Result<(), NotPriced> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let (_, end) = watermarks.ask(&self.topic, 0, left()).map_err(NotPriced::End)?;
        if end > 0 && !self.table.wait_for_offset(end - 1, left()) {
            return Err(NotPriced::Stale);
        }
        self.shelf.read().trouble().map_or(Ok(()), |why| Err(NotPriced::Unreadable(why)))
    }
}

fn tell(component: &Component, trouble: Option<String>) {
    match trouble {
        None => component.ready(),
        Some(why) => component.not_ready(format!("{why}; usage is paused")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(version: u32) -> serde_json::Value {
        serde_json::json!({
            "version": version, "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
            "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
            "services": [{"code": "ai_modify", "name": "AI Modify"}], "engines": [{"code": "nano", "name": "Nano"}],
            "prices": []
        })
    }

    fn given(shelf: &mut Shelf, key: &str, payload: Option<&str>) -> Option<String> {
        let payload = payload.map(str::as_bytes);
        shelf.take(TableRecord { offset: 7, key: Some(key.as_bytes()), payload, timestamp_ms: None });
        shelf.trouble()
    }

    #[test]
    fn a_book_that_cannot_be_read_stops_usage_until_a_valid_one_stands_under_its_key() {
        let mut shelf = Shelf::default();
        assert_eq!(given(&mut shelf, "1", Some(&book(1).to_string())), None);
        // given one of a later release, one that is not valid, and one that is no JSON
        let mut later = book(2);
        later["tiers"] = serde_json::json!([]);
        let mut invalid = book(3);
        invalid["currency"] = "dollars".into();
        let why = given(&mut shelf, "2", Some(&later.to_string())).unwrap();
        assert!(why.contains("offset 7") && why.contains("tiers"), "{why}");
        given(&mut shelf, "3", Some(&invalid.to_string()));
        given(&mut shelf, "", Some("{"));
        // when others are published, then usage waits all the same
        assert!(given(&mut shelf, "4", Some(&book(4).to_string())).is_some());
        assert!(given(&mut shelf, "2", Some(&book(2).to_string())).is_some());
        assert!(given(&mut shelf, "", None).is_some());
        // until each of them is made good
        assert_eq!(given(&mut shelf, "3", Some(&book(3).to_string())), None);
        assert_eq!(shelf.books.len(), 4);
    }

    #[test]
    fn a_flood_of_unreadable_records_takes_bounded_memory_and_is_not_forgotten() {
        let mut shelf = Shelf::default();
        for number in 0..UNREADABLE_MAX + 1 {
            given(&mut shelf, &number.to_string(), Some("{"));
        }
        assert_eq!(shelf.unreadable.len(), UNREADABLE_MAX);
        for number in 0..UNREADABLE_MAX {
            given(&mut shelf, &number.to_string(), None);
        }
        assert!(shelf.trouble().is_some());
    }
}
