//! All sums of an account, or of one event of it, by quarter of an hour and everything that tells work apart: asked for once,
//! carried forward by the ledger's tail, and whatever is asked of them answered here.
//!
//! A screen asks for a month by day, the month before, the year in a zone, four figures and what a forecast is made of: each
//! would be a question of its own, about the same few thousand rows. Where an account has more rows than are worth it each is
//! asked for alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::v1::LedgerRecord;

use super::asker::{WHOLE_ROWS_MAX, reached};
use super::carried::{Carried, Line};
use super::packed::Columns;
use super::question::Facts;
use super::{Asked, Asker, Outcome, Question, Told, Whose};
use crate::calendar::QUARTER_MS;
use crate::config::AnswersSection;
use crate::live::LiveView;
use crate::metrics::{AnswerSource, AnswersMetrics};
use crate::store::{CubeOf, Kinds, StoreError, UsageRow};

/// What a cube takes beside its cells and its ids.
const CUBE_BYTES: usize = 250;
/// Guess of what is kept of one: a large one, since the cache's parts must each hold one, however many processors there are.
const GUESS_BYTES: u64 = 256 * 1024;

/// Sums exactly as the entries up to one of them make them.
#[derive(Debug)]
struct Cube {
    seq: u64,
    asked_at: Instant,
    /// When they are asked for anew.
    until: Instant,
    /// `None`: there are more than are kept, or it is not known up to which entry they would go.
    cells: Option<Box<[u8]>>,
}

/// The same, opened.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    pub(super) seq: u64,
    pub(super) asked_at: Instant,
    pub(super) columns: Columns,
}

impl Cells {
    /// Of rows of a rollup; `None` where a sum is beyond what is kept of one, which no ledger comes near.
    pub(super) fn of(rows: &[UsageRow], seq: u64, asked_at: Instant) -> Option<Self> {
        Some(Self { seq, asked_at, columns: Columns::of(&Carried::new(rows, seq))? })
    }

    /// Adds the entries behind the newest that is in it, up to `to_seq`. Returns whether all of them were there, one after the
    /// other; if not, this is of no use any more.
    #[must_use]
    pub(super) fn carry(&mut self, of: &CubeOf, records: &[LedgerRecord], to_seq: u64) -> bool {
        let numbered = |(number, key): (usize, &String)| Some((key.clone(), u32::try_from(number).ok()?));
        let mut numbers: HashMap<String, u32> = self.columns.keys.iter().enumerate().filter_map(numbered).collect();
        let mut before_ms = self.columns.lines().last().map_or(0, |(start_ms, ..)| start_ms);
        let after_seq = self.seq;
        let entries = records.iter().flat_map(|record| &record.entries);
        for entry in entries.filter(|entry| (after_seq + 1..=to_seq).contains(&entry.seq)) {
            if entry.seq != self.seq + 1 {
                return false;
            }
            self.seq = entry.seq;
            let Some(facts) = Facts::of(entry).filter(|facts| Kinds::All.has(facts.entry_type)) else { continue };
            if !of.event_id.is_empty() && facts.event_id != of.event_id {
                continue;
            }
            let Ok(next) = u32::try_from(numbers.len()) else { return false };
            let number = *numbers.entry(facts.cell()).or_insert_with_key(|key| {
                self.columns.keys.push(key.clone());
                next
            });
            let start_ms = entry.occurred_at_ms.div_euclid(QUARTER_MS) * QUARTER_MS;
            if self.columns.push(start_ms.wrapping_sub(before_ms), number, &facts.line(entry)).is_none() {
                return false;
            }
            before_ms = start_ms;
        }
        self.seq == to_seq
    }

    /// The sums of a question, every group apart; `None`: there is a cell that this release does not know.
    pub(super) fn tell(&self, of: &CubeOf, question: &Question) -> Option<Vec<UsageRow>> {
        let mut groups: Vec<String> = Vec::new();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut group_of_cell = Vec::with_capacity(self.columns.keys.len());
        for cell in &self.columns.keys {
            let facts = Facts::of_cell(cell, &of.event_id)?;
            group_of_cell.push(question.group_of(&facts).map(|group| {
                *numbers.entry(group.into_owned()).or_insert_with_key(|group| {
                    groups.push(group.clone());
                    groups.len() - 1
                })
            }));
        }
        let mut sums: BTreeMap<(i64, usize), Line> = BTreeMap::new();
        for (quarter_ms, cell, line) in self.columns.lines() {
            let Some(group) = *group_of_cell.get(cell)? else { continue };
            // Ranges and buckets of what is asked here begin and end with a quarter.
            let Some(start_ms) = question.start_of(quarter_ms) else { continue };
            sums.entry((start_ms, group)).or_default().add(&line);
        }
        let something = sums.into_iter().filter(|(_, line)| *line != Line::default());
        something.map(|((start_ms, group), line)| Some(line.row(start_ms, groups.get(group)?))).collect()
    }
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<CubeOf, Arc<Cube>> for Weight {
    fn weight(&self, of: &CubeOf, cube: &Arc<Cube>) -> u64 {
        let cells = cube.cells.as_ref().map_or(0, |cells| cells.len());
        u64::try_from(CUBE_BYTES + of.account_id.len() + of.event_id.len() + cells).unwrap_or(u64::MAX)
    }
}

/// The cubes that one process keeps, and who asks for what they do not tell.
#[derive(Debug)]
pub struct Cubes {
    /// `None`: nothing is kept.
    cache: Option<Cache<CubeOf, Arc<Cube>, Weight>>,
    /// Most rows of a rollup that are read for one. With twice as many lines, which later entries made, it is asked for anew.
    rows_max: usize,
    /// How long they are carried forward before they are asked for anew.
    life: Duration,
    /// How long it is taken for granted that one cannot be kept at the moment.
    pause: Duration,
    /// How long who asks waits for another who asks the same.
    wait: Duration,
    view: Arc<LiveView>,
    asker: Asker,
    metrics: AnswersMetrics,
}

impl Cubes {
    /// None yet.
    #[must_use]
    pub fn new(settings: AnswersSection, asker: Asker, wait: Duration, metrics: AnswersMetrics) -> Self {
        let bytes_max = settings.cubes_bytes_max;
        let is_kept = bytes_max > 0 && settings.bytes_max > 0 && asker.is_exact;
        let cubes = usize::try_from(bytes_max / GUESS_BYTES).unwrap_or(usize::MAX).max(1);
        Self {
            cache: is_kept.then(|| Cache::with_weighter(cubes, bytes_max, Weight)),
            rows_max: settings.cube_rows_max,
            life: Duration::from_secs(settings.carried_s_max),
            pause: Duration::from_millis(settings.fresh_ms),
            wait,
            view: Arc::clone(&asker.view),
            asker,
            metrics,
        }
    }

    /// The sums of questions about one account: of a cube where one tells them all, else as [`Asker::ask`] does.
    ///
    /// # Errors
    /// As the store's.
    pub async fn ask(self: Arc<Self>, account_id: String, questions: Vec<Question>) -> Outcome {
        if let Some((cache, of)) = self.cache.as_ref().zip(cube_of(&account_id, &questions))
            && let Some((cells, source)) = self.cells(cache, &of).await?
            && let Some(told) = self.tell(&of, &cells, &questions)
        {
            let seqs = vec![Some(cells.seq); questions.len()];
            return Ok(Asked { told, seqs, asked_at: cells.asked_at, source });
        }
        self.asker.clone().ask(account_id, questions).await
    }

    /// Whether another account's sums may be kept without those of many others going.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.weight() < cache.capacity() / 4 * 3)
    }

    /// Whether it is known at the moment up to which entries sums go, without which none is kept.
    pub async fn can_keep(&self) -> bool {
        self.cache.is_some() && self.asker.is_told_by_rows().await
    }

    /// Has the sums of an account, where they are not too many, ready for who asks.
    ///
    /// # Errors
    /// As the store's.
    pub async fn keep(&self, account_id: &str) -> Result<(), Problem> {
        if let Some(cache) = &self.cache {
            self.cells(cache, &CubeOf { account_id: account_id.to_owned(), event_id: String::new() }).await?;
        }
        Ok(())
    }

    fn tell(&self, of: &CubeOf, cells: &Cells, questions: &[Question]) -> Option<Vec<Told>> {
        let rows_max = self.asker.rows_max;
        let tell = |question: &Question| {
            let rows = cells.tell(of, question)?;
            let whole_max = if question.top.is_some() { WHOLE_ROWS_MAX.min(rows_max) } else { rows_max };
            if rows.len() <= whole_max {
                return Some(Told::Whole(rows));
            }
            let shaped = question.top.map(|_| question.shape(rows));
            Some(shaped.filter(|rows| rows.len() <= rows_max).map_or(Told::TooMany, Told::Shaped))
        };
        questions.iter().map(tell).collect()
    }

    /// The cells as of the account's newest entry, and where they came from; `None`: each question is to be asked.
    async fn cells(
        &self,
        cache: &Cache<CubeOf, Arc<Cube>, Weight>,
        of: &CubeOf,
    ) -> Result<Option<(Cells, AnswerSource)>, Problem> {
        if let Some(cube) = cache.get(of) {
            if Instant::now() < cube.until {
                if cube.cells.is_none() {
                    return Ok(None);
                }
                if let Some(cells) = self.carried(of, &cube) {
                    if cells.seq > cube.seq {
                        let Cube { asked_at, until, .. } = *cube;
                        let cube = Cube { seq: cells.seq, asked_at, until, cells: Some(cells.columns.pack()) };
                        cache.insert(of.clone(), Arc::new(cube));
                        self.account_for(cache);
                    }
                    return Ok(Some((cells, AnswerSource::Cube)));
                }
            }
            cache.remove_if(of, |kept| Arc::ptr_eq(kept, &cube));
        }
        let guard = match tokio::time::timeout(self.wait, cache.get_value_or_guard_async(of)).await {
            // It takes longer than a question of one's own may wait for its turn.
            Err(_) => return Ok(None),
            Ok(Ok(cube)) => return Ok(self.carried(of, &cube).map(|cells| (cells, AnswerSource::Joined))),
            Ok(Err(guard)) => guard,
        };
        let asked_at = Instant::now();
        let mut cube = self.ask_for(of, asked_at).await?;
        let cells = self.carried(of, &cube);
        if cells.is_none() && cube.cells.is_some() {
            cube = self.not_now(asked_at);
        }
        // Refused only where another one's has taken its place. Each is exact for its own entry, so that an older one in the
        // place of a newer one costs a question at most.
        drop(guard.insert(Arc::new(cube)));
        self.account_for(cache);
        Ok(cells.map(|cells| (cells, AnswerSource::ClickHouse)))
    }

    /// What cannot be kept is not tried by each who waits, one after the other.
    fn not_now(&self, asked_at: Instant) -> Cube {
        Cube { seq: 0, asked_at, until: asked_at + self.pause, cells: None }
    }

    fn account_for(&self, cache: &Cache<CubeOf, Arc<Cube>, Weight>) {
        self.metrics.cubes_bytes.set(i64::try_from(cache.weight()).unwrap_or(i64::MAX));
    }

    /// As of the newest entry; `None` where one in between cannot be had, or where there are too many by now.
    fn carried(&self, of: &CubeOf, cube: &Cube) -> Option<Cells> {
        let columns = Columns::open(cube.cells.as_ref()?)?;
        let mut cells = Cells { seq: cube.seq, asked_at: cube.asked_at, columns };
        let since = self.view.since(&of.account_id, cube.seq.saturating_add(1), usize::MAX)?;
        if since.balance.seq != cube.seq {
            let records = since.records.iter().map(|record| record.decode()).collect::<Option<Vec<_>>>()?;
            let is_carried = cells.carry(of, &records, since.balance.seq);
            if !is_carried || cells.columns.lines().count() > 2 * self.rows_max {
                return None;
            }
        }
        Some(cells)
    }

    /// As ClickHouse tells them.
    async fn ask_for(&self, of: &CubeOf, asked_at: Instant) -> Result<Cube, Problem> {
        let Some(sure_seq) = self.asker.sure_seq(&of.account_id).await else { return Ok(self.not_now(asked_at)) };
        let until = asked_at + self.life;
        let rows = match self.asker.store.cells(of, self.rows_max).await {
            // Less may be asked for than all that there is.
            Ok(None) | Err(StoreError::TooLarge(_)) => return Ok(Cube { seq: 0, asked_at, until, cells: None }),
            rows => rows?.unwrap_or_default(),
        };
        if !self.asker.is_whole(&of.account_id, sure_seq).await? {
            return Ok(self.not_now(asked_at));
        }
        let seq = reached(&rows, sure_seq, true).unwrap_or(sure_seq);
        let cells = Cells::of(&rows, seq, asked_at).map(|cells| cells.columns.pack());
        Ok(Cube { seq, asked_at, until, cells })
    }
}

/// Whose cube tells all of these; `None`: none does.
fn cube_of(account_id: &str, questions: &[Question]) -> Option<CubeOf> {
    let mut event_ids = questions.iter().map(|question| question.filter.event_ids.first());
    let event_id = event_ids.next()?;
    let is_of_one = |question: &Question| {
        matches!(&question.whose, Whose::Account(whose) if whose == account_id) && question.whole(1).is_of_cells()
    };
    let is_told = event_ids.all(|other| other == event_id) && questions.iter().all(is_of_one);
    let event_id = event_id.cloned().unwrap_or_default();
    is_told.then(|| CubeOf { account_id: account_id.to_owned(), event_id })
}
