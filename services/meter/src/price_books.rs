//! The price book as the meter knows it: every version, read to the end of its topic.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use tollbooth_chassis::{
    kafka::{
        KafkaClients,
        table::{TableError, TopicTable},
    },
    ops::Component,
    shutdown::Shutdown,
};
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::price_book::PriceBook;

/// A live view of the price-book topic.
#[derive(Debug)]
pub struct PriceBookView {
    books: Arc<RwLock<PriceBooks>>,
    table: TopicTable,
    stale_after: Duration,
}

impl PriceBookView {
    /// Follows the topic.
    ///
    /// # Errors
    /// When the reader cannot be made.
    pub fn spawn(
        clients: &KafkaClients,
        topic: &str,
        stale_after: Duration,
        component: Component,
        shutdown: Shutdown,
    ) -> Result<Self, TableError> {
        let books = Arc::new(RwLock::new(PriceBooks::default()));
        let target = Arc::clone(&books);
        let table = TopicTable::spawn(clients, topic, component, shutdown, move |record| {
            let Some(payload) = record.payload else { return };
            match serde_json::from_slice::<PriceBook>(payload) {
                Ok(book) if book.check().is_empty() => {
                    let version = book.version;
                    let taken = target.write().publish(book);
                    tracing::info!(version, taken, "price book read");
                }
                Ok(book) => {
                    tracing::error!(version = book.version, offset = record.offset, "price book refused: not valid");
                }
                Err(error) => tracing::error!(offset = record.offset, %error, "price book refused: not readable"),
            }
        })?;
        Ok(Self { books, table, stale_after })
    }

    /// Blocks until the end was reached for the first time.
    #[must_use]
    pub fn wait_caught_up(&self, timeout: Duration) -> bool {
        self.table.wait_caught_up(timeout)
    }

    /// Every version known now.
    #[must_use]
    pub fn snapshot(&self) -> PriceBooks {
        self.books.read().clone()
    }

    /// Whether usage may be priced: the end was read, and not too long ago.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.table.caught_up() && self.table.age_since_read_to_end() < self.stale_after
    }

    /// Blocks until everything below `end` was read; `false` after the time.
    #[must_use]
    pub fn wait_for_end(&self, end: i64, timeout: Duration) -> bool {
        end <= 0 || self.table.wait_for_offset(end - 1, timeout)
    }
}
