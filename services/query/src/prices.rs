//! The price books, followed from their topic.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use tollbooth_schemas::price_book::PriceBook;

/// Longest time an answer may be cached.
const CACHE_S_MAX: i64 = 300;
/// Longest time after that in which it may be shown while a newer one is fetched.
const STALE_S_MAX: i64 = 3_600;

/// How long an answer may be kept, in seconds: as a fresh one, and from then on while a newer one is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// `max-age`.
    pub fresh_s: i64,
    /// `stale-while-revalidate`.
    pub stale_s: i64,
}

impl Freshness {
    /// Neither reaches beyond the begin of the next book, where one is known, `left_s` from now.
    fn until(left_s: Option<i64>) -> Self {
        let left_s = left_s.unwrap_or(i64::MAX).max(0);
        let fresh_s = left_s.min(CACHE_S_MAX);
        Self { fresh_s, stale_s: (left_s - fresh_s).min(STALE_S_MAX) }
    }
}

/// Every version, the first document of each.
#[derive(Debug, Default)]
pub struct Prices(RwLock<BTreeMap<u32, PriceBook>>);

impl Prices {
    /// Takes one record of the topic. What is not a price book is left out, and logged.
    pub fn apply(&self, offset: i64, payload: Option<&[u8]>) {
        let Some(payload) = payload else { return };
        match serde_json::from_slice::<PriceBook>(payload) {
            // Nobody is charged by it: the meter leaves it out, too.
            Ok(book) if !book.check().is_empty() => {
                tracing::error!(offset, version = book.version, "a price book of the topic is not valid");
            }
            Ok(book) => {
                self.0.write().entry(book.version).or_insert(book);
            }
            Err(error) => tracing::error!(offset, %error, "a record of the price-book topic is no price book"),
        }
    }

    /// The book in force, and how long the answer may be kept.
    #[must_use]
    pub fn current(&self, now_ms: i64) -> Option<(PriceBook, Freshness)> {
        let books = self.0.read();
        let in_force = books.values().filter(|book| book.effective_from <= now_ms);
        let current = in_force.max_by_key(|book| (book.effective_from, book.version))?.clone();
        let next_ms = books.values().map(|book| book.effective_from).filter(|from_ms| *from_ms > now_ms).min();
        Some((current, Freshness::until(next_ms.map(|next_ms| (next_ms - now_ms) / 1_000))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(version: u32, effective_from: i64, name: &str) -> Vec<u8> {
        let from = tollbooth_schemas::time::rfc3339(effective_from);
        format!(
            r#"{{"version":{version},"currency":"USD","effective_from":"{from}","plans":[{{"code":"basic","name":"{name}","monthly_fee":"39"}}],"services":[{{"code":"sms","name":"SMS"}}],"engines":[{{"code":"sms","name":"SMS"}}],"prices":[]}}"#
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
        let at = |now_ms| prices.current(now_ms).map(|(book, kept)| (book.version, kept.fresh_s, kept.stale_s));
        assert_eq!(at(999), None);
        assert_eq!(at(1_000), Some((2, 4, 0)));
        assert_eq!(at(5_000), Some((3, 55, 0)));
        assert_eq!(at(60_000), Some((4, 300, 3_600)));
    }

    #[test]
    fn an_answer_is_kept_no_longer_than_until_the_next_book() {
        for (left_s, fresh_s, stale_s) in [(-1, 0, 0), (299, 299, 0), (1_000, 300, 700), (9_999, 300, 3_600)] {
            assert_eq!(Freshness::until(Some(left_s)), Freshness { fresh_s, stale_s });
        }
    }

    #[test]
    fn what_the_meter_leaves_out_is_not_shown() {
        let prices = Prices::default();
        let valid = String::from_utf8(book(1, 0, "Basic")).unwrap();
        prices.apply(0, Some(valid.replace("USD", "dollars").as_bytes()));
        assert_eq!(prices.current(0), None);
        prices.apply(1, Some(valid.as_bytes()));
        assert_eq!(prices.current(0).unwrap().0.version, 1);
    }

    #[test]
    fn the_first_document_of_a_version_wins() {
        let prices = Prices::default();
        prices.apply(0, Some(&book(1, 0, "first")));
        prices.apply(1, Some(&book(1, 0, "second")));
        assert_eq!(prices.current(0).unwrap().0.plans[0].name, "first");
    }
}
