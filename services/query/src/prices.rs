//! The price books, followed from their topic.

mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tollbooth_schemas::price_book::PriceBook;

pub use names::Names;

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
pub struct Prices(RwLock<Books>);

#[derive(Debug, Default)]
struct Books {
    by_version: BTreeMap<u32, PriceBook>,
    names: Arc<Names>,
}

/// A book and how long it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Version.
    pub version: u32,
    /// ISO 4217.
    pub currency: String,
    /// From this instant on.
    pub effective_from_ms: i64,
    /// Until the next book of the currency; `None`: none is known.
    pub effective_to_ms: Option<i64>,
    /// Rows.
    pub prices: usize,
}

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
                let mut books = self.0.write();
                books.by_version.entry(book.version).or_insert(book);
                books.names = Arc::new(Names::of(books.by_version.values()));
            }
            Err(error) => tracing::error!(offset, %error, "a record of the price-book topic is no price book"),
        }
    }

    /// The book in force, of one currency or of any, and how long the answer may be kept.
    #[must_use]
    pub fn current(&self, now_ms: i64, currency: Option<&str>) -> Option<(PriceBook, Freshness)> {
        let books = self.0.read();
        let of_currency = || {
            let books = books.by_version.values();
            books.filter(|book| currency.is_none_or(|currency| book.currency == currency))
        };
        let in_force = of_currency().filter(|book| book.effective_from <= now_ms);
        let current = in_force.max_by_key(|book| (book.effective_from, book.version))?.clone();
        let next_ms = of_currency().map(|book| book.effective_from).filter(|from_ms| *from_ms > now_ms).min();
        Some((current, Freshness::until(next_ms.map(|next_ms| (next_ms - now_ms) / 1_000))))
    }

    /// One version.
    #[must_use]
    pub fn version(&self, version: u32) -> Option<PriceBook> {
        self.0.read().by_version.get(&version).cloned()
    }

    /// Every version, the one that begins last first. Of two that begin together the lower one is never in force: it
    /// ends where it begins.
    #[must_use]
    pub fn history(&self) -> Vec<Listed> {
        let books = self.0.read();
        let mut sorted: Vec<&PriceBook> = books.by_version.values().collect();
        sorted.sort_by_key(|book| std::cmp::Reverse((book.effective_from, book.version)));
        let mut next_ms: BTreeMap<&str, i64> = BTreeMap::new();
        let listed = sorted.into_iter().map(|book| Listed {
            version: book.version,
            currency: book.currency.clone(),
            effective_from_ms: book.effective_from,
            effective_to_ms: next_ms.insert(&book.currency, book.effective_from),
            prices: book.prices.len(),
        });
        listed.collect()
    }

    /// What people call services, engines and plans.
    #[must_use]
    pub fn names(&self) -> Arc<Names> {
        Arc::clone(&self.0.read().names)
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
        assert_eq!(prices.current(0, None), None);
        for (offset, (version, from)) in [(3, 5_000), (1, 1_000), (2, 1_000), (4, 60_000)].into_iter().enumerate() {
            prices.apply(i64::try_from(offset).unwrap(), Some(&book(version, from, "Basic")));
        }
        prices.apply(9, Some(b"{}"));
        let at = |now_ms| prices.current(now_ms, None).map(|(book, kept)| (book.version, kept.fresh_s, kept.stale_s));
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
    fn a_book_ends_where_the_next_of_its_currency_begins() {
        let prices = Prices::default();
        let of = |version, from, currency: &str| {
            let usd = String::from_utf8(book(version, from, "Basic")).unwrap();
            usd.replace("USD", currency).into_bytes()
        };
        for (version, from, currency) in [(1, 1_000, "USD"), (2, 2_000, "EUR"), (3, 3_000, "USD"), (4, 3_000, "USD")] {
            prices.apply(0, Some(&of(version, from, currency)));
        }
        let history = prices.history();
        let ends: Vec<_> = history.iter().map(|listed| (listed.version, listed.effective_to_ms)).collect();
        assert_eq!(ends, [(4, None), (3, Some(3_000)), (2, None), (1, Some(3_000))]);
        let current = |currency| prices.current(5_000, currency).map(|(book, _)| book.version);
        assert_eq!([current(None), current(Some("EUR")), current(Some("GBP"))], [Some(4), Some(2), None]);
    }

    #[test]
    fn what_the_meter_leaves_out_is_not_shown() {
        let prices = Prices::default();
        let valid = String::from_utf8(book(1, 0, "Basic")).unwrap();
        prices.apply(0, Some(valid.replace("USD", "dollars").as_bytes()));
        assert_eq!(prices.current(0, None), None);
        prices.apply(1, Some(valid.as_bytes()));
        assert_eq!(prices.current(0, None).unwrap().0.version, 1);
    }

    #[test]
    fn the_first_document_of_a_version_wins() {
        let prices = Prices::default();
        prices.apply(0, Some(&book(1, 0, "first")));
        prices.apply(1, Some(&book(1, 0, "second")));
        assert_eq!(prices.current(0, None).unwrap().0.plans[0].name, "first");
    }
}
