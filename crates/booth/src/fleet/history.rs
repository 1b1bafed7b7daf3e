//! A year of parties, played once through the same path as today's.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use chrono::{DateTime, Datelike, Utc, Weekday};
use serde::{Deserialize, Serialize};
use tollbooth_schemas::{
    AccountId, EventId, Money,
    price_book::{Model, PriceBook},
    time::DAY_MS,
};

use super::{
    control::Control,
    draft::Draft,
    generator::{fail, report},
    links::{Links, LinksError, Ready},
    mix::Work,
    population::{Booth, Population},
    random::{Chance, Stream},
    setup::{self, CreditBy, SetUpError, TopUp},
};
use crate::journal::{Expect, Line, Via};

const DAYS: i64 = 365;
const HOUR_MS: i64 = 3_600_000;
const FAILURE_SHARE: f64 = 0.015;
const RETRY_SHARE: f64 = 0.6;
/// Records between two marks.
const CHUNK_RECORDS: usize = 10_000;
const FIFTY: i64 = 50_000_000;
/// Bought in the newest month at least.
const NEWEST_MONTH_MIN: i64 = 2 * FIFTY;

/// How far the history was played.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Marker {
    /// The instant up to which history reaches, milliseconds; decided once.
    pub anchor_ms: i64,
    /// Records of the first tries.
    pub count: u64,
    /// Chunks that are played whole.
    pub chunks_done: usize,
    /// Everything is played.
    pub done: bool,
}

/// History cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Sending.
    #[error(transparent)]
    Links(#[from] LinksError),
    /// Crediting.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// The marker file.
    #[error("the marker file: {0}")]
    Marker(#[from] std::io::Error),
    /// The marker is of another history.
    #[error("a history of {0} records was begun here; play it to its end or use another directory")]
    OtherHistory(u64),
}

impl Marker {
    /// The marker in `dir`, or a new one with this anchor.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn open(dir: &Path, anchor_ms: i64, count: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        match std::fs::read(dir.join("history.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let marker = Self { anchor_ms, count, chunks_done: 0, done: false };
                marker.save(dir)?;
                Ok(marker)
            }
            Err(error) => Err(error),
        }
    }

    fn save(&self, dir: &Path) -> std::io::Result<()> {
        let next = dir.join("history.json.next");
        std::fs::write(&next, serde_json::to_vec(self)?)?;
        std::fs::rename(next, dir.join("history.json"))
    }
}

/// A stretch of history: credit first, then what is spent of it.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Before the records.
    pub top_ups: Vec<TopUp>,
    /// Records by time.
    pub drafts: Vec<Draft>,
}

/// All of history in order: a function of its arguments. Its credit is adjusted, dated as the work is; that of the newest
/// month comes as `by` says.
#[must_use]
pub fn plan(
    seed: u64,
    population: &Population,
    book: &PriceBook,
    (count, by): (u64, CreditBy),
    anchor_ms: i64,
) -> Vec<Chunk> {
    let mut drafts = drafts(seed, population, count, anchor_ms);
    drafts.sort_by_key(|draft| (draft.report.occurred_at_ms, draft.number));
    let newest = month_of(anchor_ms);
    let mut months: BTreeMap<(i32, u32), Vec<Draft>> = BTreeMap::from([(newest, Vec::new())]);
    for draft in drafts {
        months.entry(month_of(draft.report.occurred_at_ms)).or_default().push(draft);
    }
    let mut purses = Purses { anchor_ms, left: BTreeMap::new() };
    let mut chunks = Vec::new();
    for (month, drafts) in months {
        let spend = spend(book, &drafts);
        let mut top_ups =
            if month == newest { purses.newest(month, population, &spend, by) } else { purses.month(month, &spend) };
        let mut drafts = drafts.into_iter().peekable();
        loop {
            let part = drafts.by_ref().take(CHUNK_RECORDS).collect();
            chunks.push(Chunk { top_ups: std::mem::take(&mut top_ups), drafts: part });
            if drafts.peek().is_none() {
                break;
            }
        }
    }
    chunks
}

/// What each account has left from month to month.
struct Purses {
    anchor_ms: i64,
    left: BTreeMap<AccountId, i64>,
}

impl Purses {
    /// What each account spends in a month and has not, dated an hour before its first record.
    fn month(&mut self, month: (i32, u32), spend: &Spend) -> Vec<TopUp> {
        let dated = |first_ms| (CreditBy::Adjustment, Some(first_ms - HOUR_MS));
        let spend = spend.iter();
        spend.filter_map(|(id, (micros, first_ms))| self.top_up(month, id, (*micros, 0), dated(*first_ms))).collect()
    }

    /// Nobody's newest month is without credit: it is what people see first.
    fn newest(&mut self, month: (i32, u32), population: &Population, spend: &Spend, by: CreditBy) -> Vec<TopUp> {
        let accounts = population.accounts().iter().map(|account| &account.account_id);
        accounts
            .filter_map(|id| {
                let (micros, first_ms) = spend.get(id).copied().unwrap_or((0, self.anchor_ms));
                let dated = (by == CreditBy::Adjustment).then_some(first_ms - HOUR_MS);
                self.top_up(month, id, (micros, NEWEST_MONTH_MIN), (by, dated))
            })
            .collect()
    }

    /// In whole fifties, as people buy; `None` where enough is left.
    fn top_up(
        &mut self,
        (year, month): (i32, u32),
        account_id: &AccountId,
        (spent, least): (i64, i64),
        (by, occurred_at_ms): (CreditBy, Option<i64>),
    ) -> Option<TopUp> {
        let left = self.left.entry(account_id.clone()).or_default();
        *left -= spent;
        let missing = if *left < 0 { (-*left / FIFTY + 1) * FIFTY } else { 0 };
        let micros = missing.max(least);
        *left += micros;
        let amount = Money::from_micros(micros).filter(|amount| *amount > Money::ZERO)?;
        let idempotency_key = format!("history:{}:{account_id}:{year}-{month:02}", day_code(self.anchor_ms));
        Some(TopUp { account_id: account_id.clone(), idempotency_key, amount, occurred_at_ms, by })
    }
}

/// By account: what a month comes to, and when its first record is.
type Spend = BTreeMap<AccountId, (i64, i64)>;

fn spend(book: &PriceBook, drafts: &[Draft]) -> Spend {
    let mut spend = Spend::new();
    for draft in drafts {
        let spent = spend.entry(draft.report.account_id.clone()).or_insert((0, draft.report.occurred_at_ms));
        spent.0 += charge_micros(book, draft);
    }
    spend
}

/// What a record and its retry will cost, near enough to buy credit for it.
fn charge_micros(book: &PriceBook, draft: &Draft) -> i64 {
    let report = &draft.report;
    let fits = |price: &&tollbooth_schemas::price_book::Price| {
        let (from, to) = price.interval();
        price.service == report.service
            && price.engine == report.engine
            && price.variant.as_ref().is_none_or(|variant| report.variant.as_ref() == Some(variant))
            && (from..to).contains(&report.occurred_at_ms)
    };
    let Some(price) = book.prices.iter().find(fits) else { return 0 };
    let of_tiers = price.tiers.iter().filter_map(|tier| tier.plans.get(draft.plan));
    let unit = price.plans.get(draft.plan).into_iter().chain(of_tiers).map(|money| money.micros()).max().unwrap_or(0);
    match price.model {
        Model::Flat => unit,
        Model::Package => {
            let size = price.pack_size.map_or(1, |size| size.micros().max(1));
            unit * ((report.quantity.micros() + size - 1) / size)
        }
        // Prices of cents and quantities of tens: far from the bounds.
        Model::PerUnit | Model::Graduated | Model::Volume => unit * (report.quantity.micros() / 1_000) / 1_000,
    }
}

fn instant(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

fn month_of(ms: i64) -> (i32, u32) {
    let day = instant(ms);
    (day.year(), day.month())
}

fn day_code(ms: i64) -> String {
    instant(ms).format("%Y%m%d").to_string()
}

/// Weekends and the two seasons: weddings from May to October, holiday parties in December.
fn day_weight(day: DateTime<Utc>) -> f64 {
    let weekday = match day.weekday() {
        Weekday::Sat => 6.0,
        Weekday::Fri => 3.0,
        Weekday::Sun => 2.0,
        _ => 0.7,
    };
    let season = match day.month() {
        12 => 1.8,
        6 | 9 | 10 => 1.6,
        5 | 7 | 8 => 1.3,
        1 | 2 => 0.6,
        _ => 1.0,
    };
    weekday * season
}

fn drafts(seed: u64, population: &Population, count: u64, anchor_ms: i64) -> Vec<Draft> {
    let mut chance = Chance::new(seed, Stream::History);
    let first_day = anchor_ms - anchor_ms.rem_euclid(DAY_MS) - (DAYS - 1) * DAY_MS;
    let days: Vec<(f64, i64)> =
        (0..DAYS).map(|day| first_day + day * DAY_MS).map(|ms| (day_weight(instant(ms)), ms)).collect();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut drafts = Vec::new();
    let mut party: u64 = 0;
    while drafts.len() < count {
        party += 1;
        let number = chance.below(usize::try_from(population.booths()).unwrap_or(0));
        let Some(booth) = u32::try_from(number).ok().and_then(|number| population.booth(number)) else { break };
        let day_ms = chance.pick(&days).copied().unwrap_or(first_day);
        let begin_ms = begin_of_party(&mut chance, &booth, day_ms);
        let event_id = format!("evt_{}_{}_{party}", booth.account.short_id(), day_code(day_ms)).parse().ok();
        let left = count - drafts.len();
        play_party(&mut chance, &booth, begin_ms, event_id.as_ref(), anchor_ms, left, &mut drafts);
    }
    drafts
}

fn begin_of_party(chance: &mut Chance, booth: &Booth<'_>, day_ms: i64) -> i64 {
    let weekend = matches!(instant(day_ms).weekday(), Weekday::Sat | Weekday::Sun);
    let local_hour = if weekend { chance.normal(17.0, 2.5).clamp(11.0, 21.0) } else { chance.normal(18.5, 1.5) };
    // Hours of a day.
    #[allow(clippy::cast_possible_truncation)]
    let local_ms = (local_hour * 3_600_000.0) as i64;
    day_ms + local_ms - booth.account.utc_offset_hours * HOUR_MS
}

/// Three to five hours; busiest in the middle.
fn play_party(
    chance: &mut Chance,
    booth: &Booth<'_>,
    begin_ms: i64,
    event_id: Option<&EventId>,
    anchor_ms: i64,
    left: usize,
    drafts: &mut Vec<Draft>,
) {
    let length_ms = chance.between(3.0, 5.0) * 3_600_000.0;
    // Hundreds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let records = chance.normal(140.0, 60.0).clamp(30.0, 420.0) as usize;
    for _ in 0..records.min(left) {
        let progress = (chance.unit() + chance.unit()) / 2.0;
        #[allow(clippy::cast_possible_truncation)]
        let occurred_at_ms = begin_ms + (progress * length_ms) as i64;
        let work = Work::draw(chance, occurred_at_ms);
        let failed = chance.chance(FAILURE_SHARE);
        let retried = chance.chance(RETRY_SHARE);
        if occurred_at_ms >= anchor_ms {
            continue;
        }
        let number = drafts.len() as u64;
        let id = format!("h{}-{number:07x}", day_code(anchor_ms));
        let Some(report) = report(id, booth, &work, occurred_at_ms, event_id.cloned()) else { continue };
        let mut draft = Draft {
            number,
            report,
            plan: booth.account.plan,
            booth_number: booth.number,
            via: Via::Http,
            expect: Expect::Charge,
            reason: None,
            fault: None,
            duplicate_after: None,
            then: None,
        };
        if failed {
            fail(&mut draft, "provider_timeout", retried.then_some(Duration::from_secs(20)));
        }
        drafts.push(draft);
    }
}

/// Plays what is left of the history. Played again, it is duplicates only.
pub(crate) async fn play(
    links: &Links,
    ready: &mut Ready,
    control: &Control,
    chunks: Vec<Chunk>,
    dir: &Path,
    mut marker: Marker,
    progress: impl Fn(u64, u64),
) -> Result<u64, HistoryError> {
    let total: u64 = chunks.iter().map(|chunk| chunk.drafts.len() as u64).sum();
    let mut played: u64 = 0;
    let tracker = Arc::clone(&links.tracker);
    tracker
        .write(&[Line::Run {
            run_id: format!("h{}", day_code(marker.anchor_ms)),
            seed: 0,
            profile: "history".to_owned(),
            started_at: Utc::now().timestamp_millis(),
        }])
        .map_err(LinksError::from)?;
    for (index, mut chunk) in chunks.into_iter().enumerate() {
        played += chunk.drafts.len() as u64;
        if index < marker.chunks_done {
            continue;
        }
        setup::carry_out_all(control, &tracker, &chunk.top_ups).await?;
        links.send(&mut chunk.drafts).await?;
        settle(links, ready).await?;
        marker.chunks_done = index + 1;
        marker.save(dir)?;
        progress(played, total);
    }
    marker.done = true;
    marker.save(dir)?;
    Ok(total)
}

/// Sends what follows, until everything has its answer.
async fn settle(links: &Links, ready: &mut Ready) -> Result<(), LinksError> {
    let mut ticker = tokio::time::interval(Duration::from_millis(10));
    loop {
        ticker.tick().await;
        let mut first = Vec::new();
        while let Ok((_, draft)) = ready.try_recv() {
            first.push(*draft);
        }
        let idle = first.is_empty() && links.is_idle();
        links.send(&mut first).await?;
        if idle && ready.is_empty() {
            return Ok(());
        }
    }
}
