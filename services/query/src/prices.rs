//! The price books, followed from their topic.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use tollbooth_schemas::price_book::PriceBook;

/// Longest time an answer may be cached.
const CACHE_S_MAX: i64 = 300;

/// Every version, the first document of each.
#[derive(Debug, Default)]
pub struct Prices(RwLock<BTreeMap<u32, PriceBook>>);

impl Prices {
    /// Takes one record of the topic. What is not a price book is left out, and logged.
    pub fn apply(&self, offset: i64, payload: Option<&[u8]>) {
        let Some(payload) = payload else { return };
        match serde_json::from_slice::<PriceBook>(payload) {
            Ok(book) => {
                self.0.write().entry(book.version).or_insert(book);
            }
            Err(error) => tracing::error!(offset, %error, "a record of the price-book topic is no price book"),
        }
    }

    /// The book in force, and for how many seconds the answer stays right (at most five minutes).
    #[must_use]
    pub fn current(&self, now_ms: i64) -> Option<(PriceBook, i64)> {
        let books = self.0.read();
        let in_force = books.values().filter(|book| book.effective_from <= now_ms);
        let current = in_force.max_by_key(|book| (book.effective_from, book.version))?.clone();
        let next_ms = books.values().map(|book| book.effective_from).filter(|from_ms| *from_ms > now_ms).min();
        let fresh_s = next_ms.map_or(CACHE_S_MAX, |next_ms| (next_ms - now_ms) / 1_000).clamp(0, CACHE_S_MAX);
        Some((current, fresh_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(version: u32, effective_from: i64, name: &str) -> Vec<u8> {
        let from = tollbooth_schemas::time::rfc3339(effective_from);
        format!(
            r#"{{"version":{version},"currency":"USD","effective_from":"{from}","plans":[{{"code":"basic","name":"{name}","monthly_fee":"39"}}],"services":[],"engines":[],"prices":[]}}"#
        )
        .into_bytes()
    }

    #[test]
    fn the_latest_book_that_has_begun_is_in_force() {
        let prices = Prices::default();
        assert_eq!(prices.current(0), None);
        for (offset, (version, from)) in [(3, 5_000), (1, 1_000), (2, 1_000), (4, 60_000)].into_iter().enumerate() {
            prices.apply(i64::try_from(offset).unwrap(), Some(&book(version, from, "Basic")));
        }
        prices.apply(9, Some(b"{}"));
        let at = |now_ms| prices.current(now_ms).map(|(book, fresh_s)| (book.version, fresh_s));
        assert_eq!(at(999), None);
        assert_eq!(at(1_000), Some((2, 4)));
        assert_eq!(at(5_000), Some((3, 55)));
        assert_eq!(at(60_000), Some((4, 300)));
    }

    #[test]
    fn the_first_document_of_a_version_wins() {
        let prices = Prices::default();
        prices.apply(0, Some(&book(1, 0, "first")));
        prices.apply(1, Some(&book(1, 0, "second")));
        assert_eq!(prices.current(0).unwrap().0.plans[0].name, "first");
    }
}
