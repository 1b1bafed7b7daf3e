//! Pages of transactions that ClickHouse told, kept: whoever asks for the same entries again gets them from memory.
//!
//! An entry never changes, and a page is known by its uppermost entry, which ClickHouse had when it told the page. So a
//! page is never out of date; it goes when others are asked for more.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::StoreError;
use super::activity::Below;
use super::packed_rows::PackedRows;
use super::words::Meaning;
use crate::activity::{ActivityFilter, ActivityRow};
use crate::metrics::{PageSource, PagesMetrics};

/// Pages are read in steps of so many rows, so that one more or less of what memory has does not make another page.
const STEP: usize = 64;
/// Of larger ones, the pieces of a file, nobody asks for the same twice.
pub(super) const ROWS_MAX: usize = 256;
/// What a page costs beside its rows.
const PAGE_BYTES: usize = 400;
/// Guess of a page's size, for the first allocation alone.
const GUESS_BYTES: u64 = 4_096;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    account_id: Box<str>,
    filter: ActivityFilter,
    /// Of a search, what its words stand for.
    meaning: Option<Meaning>,
    upper_seq: u64,
    rows: usize,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<PackedRows>> for Weight {
    fn weight(&self, key: &Key, page: &Arc<PackedRows>) -> u64 {
        let meaning = key.meaning.as_ref().map_or(0, Meaning::text_bytes);
        let bytes = PAGE_BYTES + key.account_id.len() + key.filter.text_bytes() + meaning + page.bytes();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// The pages of one process.
#[derive(Debug)]
pub(super) struct Pages {
    /// `None`: none is kept.
    cache: Option<Cache<Key, Arc<PackedRows>, Weight>>,
    /// How long who asks for a page waits for another who reads it.
    wait: Duration,
    /// Whether all questions go to one server.
    is_one_server: bool,
    metrics: PagesMetrics,
}

impl Pages {
    pub(super) fn new(bytes_max: u64, wait: Duration, metrics: PagesMetrics) -> Self {
        let pages = usize::try_from(bytes_max / GUESS_BYTES).unwrap_or(usize::MAX);
        let cache = (bytes_max > 0).then(|| Cache::with_weighter(pages.max(1), bytes_max, Weight));
        Self { cache, wait, is_one_server: false, metrics }
    }

    /// Says that all questions go to one server: what it has is there for the next question, too.
    pub(super) const fn of_one_server(&mut self) {
        self.is_one_server = true;
    }

    pub(super) const fn are_of_one_server(&self) -> bool {
        self.is_one_server
    }

    /// Counts a page that is not looked for here.
    pub(super) fn passed_by(&self) {
        self.metrics.count(PageSource::ClickHouse);
    }

    /// At least `rows` entries below, of a search those that its words stand for, as far as there are so many: as they are kept, or as `read` tells so many or more.
    /// `None` where it tells none, which is not kept. Of several who ask for the same at once, one reads.
    ///
    /// # Errors
    /// What `read` answers; [`StoreError::Busy`] to who waited too long for others.
    pub(super) async fn get<F>(
        &self,
        below: Below<'_>,
        meaning: Option<&Meaning>,
        rows: usize,
        read: impl FnOnce(usize) -> F,
    ) -> Result<Option<Vec<ActivityRow>>, StoreError>
    where
        F: Future<Output = Result<Option<Vec<ActivityRow>>, StoreError>>,
    {
        // Where another question than that for the rows finds the uppermost entry, another server may have told the rows.
        let is_sure = self.is_one_server || (below.filter.event_ids.is_empty() && meaning.is_none());
        let Some(cache) = self.cache.as_ref().filter(|_| is_sure && rows <= ROWS_MAX) else {
            self.passed_by();
            return read(rows).await;
        };
        let rows = rows.next_multiple_of(STEP);
        let Below { account_id, filter, seq: upper_seq, .. } = below;
        let (account_id, filter, meaning) = (account_id.into(), filter.clone(), meaning.cloned());
        let key = Key { account_id, filter, meaning, upper_seq, rows };
        // A reader that fails lets the next one try: who waits for many of them is told so in time.
        let guard = match tokio::time::timeout(self.wait, cache.get_value_or_guard_async(&key)).await {
            Err(_) => return Err(StoreError::Busy),
            Ok(Ok(page)) => {
                self.metrics.count(PageSource::Memory);
                return Ok(page.open());
            }
            Ok(Err(guard)) => guard,
        };
        self.metrics.count(PageSource::ClickHouse);
        let Some(told) = read(rows).await? else { return Ok(None) };
        // It was dropped meanwhile only if the cache was emptied, which nobody does.
        drop(guard.insert(Arc::new(PackedRows::of(&told))));
        self.metrics.bytes.set(i64::try_from(cache.weight()).unwrap_or(i64::MAX));
        Ok(Some(told))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use prometheus::Registry;

    use super::*;
    use crate::store::Posted;

    fn pages(bytes_max: u64) -> Pages {
        Pages::new(bytes_max, Duration::from_secs(60), PagesMetrics::register(&Registry::new()).unwrap())
    }

    fn rows(count: u64) -> Vec<ActivityRow> {
        (1..=count).rev().map(|seq| ActivityRow { seq, ..ActivityRow::default() }).collect()
    }

    fn below<'a>(account_id: &'a str, filter: &'a ActivityFilter, seq: u64) -> Below<'a> {
        let posted = Posted { by_ms: 0, opened_at_ms: 0, entries: seq };
        Below { account_id, filter, seq, lower_seq: 0, posted, account_entries: seq }
    }

    #[tokio::test]
    async fn what_was_told_is_not_asked_for_again() {
        // given pages, and a table of 100 entries that counts its questions
        let (pages, asked) = (pages(1 << 20), Cell::new(0));
        let all = ActivityFilter::default();
        let sms = ActivityFilter { services: vec!["sms".to_owned()], ..ActivityFilter::default() };
        let get = async |below: Below<'_>, wanted: usize| {
            let read = async |rows: usize| {
                asked.set(asked.get() + 1);
                Ok(Some(self::rows(100).into_iter().take(rows).collect()))
            };
            pages.get(below, None, wanted, read).await.unwrap().unwrap().len()
        };

        // when the same is asked for, a little less and a little more of it
        for wanted in [51, 48, 64, 51] {
            assert_eq!(get(below("acc_a", &all, 100), wanted).await, 64);
        }

        // then one question was put
        assert_eq!(asked.get(), 1);

        // and each other account, filter and entry is another page
        for other in [below("acc_b", &all, 100), below("acc_a", &sms, 100), below("acc_a", &all, 99)] {
            get(other, 51).await;
        }
        assert_eq!(asked.get(), 4);
        // and neither the pieces of a file are kept, nor pages that are told by two questions
        assert_eq!((get(below("acc_a", &all, 100), 2_000).await, asked.get()), (100, 5));
        assert_eq!((get(below("acc_a", &all, 100), 2_000).await, asked.get()), (100, 6));
        let party = ActivityFilter { event_ids: vec!["evt_a".to_owned()], ..ActivityFilter::default() };
        for before in [6, 7] {
            get(below("acc_a", &party, 100), 51).await;
            assert_eq!(asked.get(), before + 1);
        }
    }

    #[tokio::test]
    async fn of_one_server_pages_that_several_questions_tell_are_kept_as_well() {
        // given a search of an event by its name, and a filter by event
        let named = |event: &str| Meaning::of_events(&[event]);
        let (gala, prom) = (named("evt_gala"), named("evt_prom"));
        let search = ActivityFilter { terms: vec!["party".to_owned()], ..ActivityFilter::default() };
        let party = ActivityFilter { event_ids: vec!["evt_a".to_owned()], ..ActivityFilter::default() };
        for (is_one_server, expected) in [(true, 3), (false, 6)] {
            let (mut pages, asked) = (pages(1 << 20), Cell::new(0));
            if is_one_server {
                pages.of_one_server();
            }
            // when each is asked for twice, the search also with the word in another event's name
            for (filter, meaning) in [(&search, Some(&gala)), (&search, Some(&prom)), (&party, None)] {
                for _ in 0..2 {
                    let read = async |_| {
                        asked.set(asked.get() + 1);
                        Ok(Some(rows(9)))
                    };
                    pages.get(below("acc_a", filter, 100), meaning, 9, read).await.unwrap();
                }
            }
            // then they are kept where no other server can have told them
            assert_eq!(asked.get(), expected);
        }
    }

    #[tokio::test]
    async fn what_is_not_there_yet_is_asked_for_again() {
        let (pages, all) = (pages(1 << 20), ActivityFilter::default());
        let below = below("acc_a", &all, 100);
        assert!(pages.get(below, None, 10, async |_| Ok(None)).await.unwrap().is_none());
        assert!(pages.get(below, None, 10, async |_| Err(StoreError::Busy)).await.is_err());
        assert_eq!(pages.get(below, None, 10, async |_| Ok(Some(rows(100)))).await.unwrap().unwrap().len(), 100);
    }

    #[tokio::test]
    async fn who_waits_for_a_reader_waits_no_longer_than_they_may() {
        // given a page that somebody reads for ever
        let metrics = PagesMetrics::register(&Registry::new()).unwrap();
        let (pages, all) = (Pages::new(1 << 20, Duration::from_millis(1), metrics), ActivityFilter::default());
        let below = below("acc_a", &all, 100);
        let reads = pages.get(below, None, 10, async |_| std::future::pending().await);
        let mut reads = std::pin::pin!(reads);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut reads).await.is_err());
        // then another one who asks for it is told to come back
        let waited = pages.get(below, None, 10, async |_| Ok(Some(rows(100)))).await;
        assert!(matches!(waited, Err(StoreError::Busy)), "{waited:?}");
    }

    #[tokio::test]
    async fn they_take_no_more_than_they_may() {
        // given room for a few pages
        let (pages, all) = (pages(10_000), ActivityFilter::default());
        for seq in 1..=100 {
            pages
                .get(below("acc_a", &all, seq), None, 64, async |rows| Ok(Some(self::rows(rows as u64))))
                .await
                .unwrap();
        }
        // then most are gone, and none is kept where none may be
        let bytes = pages.metrics.bytes.get();
        assert!((1..=10_000).contains(&bytes), "{bytes}");
        let none = self::pages(0);
        none.get(below("acc_a", &all, 9), None, 64, async |_| Ok(Some(rows(9)))).await.unwrap();
        assert_eq!(none.metrics.bytes.get(), 0);
    }
}
