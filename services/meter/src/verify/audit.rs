//! The audit: everything that was read, held against everything else that was read. No I/O.
//!
//! Feed it in this order, then [`finish`](Audit::finish): price books, the ledger, dead letters, where the inputs begin
//! and how far they were consumed, usage and commands, rows, rollups, balances, settings, journals, and last whatever
//! was posted meanwhile. Each part but the ledger may be left out; what depends on it is then not checked.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use hashbrown::{HashMap, HashSet};
use tollbooth_schemas::v1::SourceTopic;

use super::{
    alerts::AlertWatch,
    calendar::{self, Month},
    counts::{Counts, History},
    dead::DeadLetter,
    digest::{Key, Parts},
    journal::Journal,
    price::Books,
    purse::Purse,
    recharge::Recharges,
    redrive::Redrives,
    report::{Checked, CurrencyTotals, Defect, Report, Unchecked, units},
    repricing::GivenBackFirst,
    rollups::Sums,
    source::{Input, SourceIndex},
};

/// End of a list of indexes.
pub(super) const NONE: u32 = u32::MAX;

/// What the audit has to know of the settings.
#[derive(Debug, Clone, Copy)]
pub struct AuditOptions {
    /// Partitions of `usage`, `commands` and `ledger`.
    pub partitions: i32,
    /// The input generation that the topics belong to.
    pub input_generation: u32,
    /// Usage older than this at its receipt is a dead letter.
    pub age_max_ms: i64,
    /// Usage further ahead of its receipt than this is one.
    pub future_max_ms: i64,
    /// How long an operation is charged once.
    pub retention_ms: i64,
    /// How long after its publication a price book may be unknown to a meter that posts.
    pub price_book_stale_ms: i64,
    /// Examples kept of each defect.
    pub examples_max: usize,
}

/// A record of any topic.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Append or create time, as the topic is configured.
    pub timestamp_ms: Option<i64>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub payload: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl<'a> LogRecord<'a> {
    /// The last header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().rev().find(|(found, _)| *found == name).and_then(|(_, value)| *value)
    }

    pub(super) fn header_text(&self, name: &str) -> Option<&'a str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// The two topics that entries come from; what an instant made comes from none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `usage`.
    Usage,
    /// `commands`.
    Commands,
}

impl Source {
    pub(super) fn of(topic: SourceTopic) -> Option<Self> {
        match topic {
            SourceTopic::Usage => Some(Self::Usage),
            SourceTopic::Commands => Some(Self::Commands),
            SourceTopic::Unspecified | SourceTopic::Tick => None,
        }
    }
}

/// An entry, as much of it as later comparisons need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posted {
    pub(super) seq: u64,
    pub(super) amount: i64,
    pub(super) balance: i64,
    pub(super) posted_at_ms: i64,
    pub(super) source_offset: i64,
    /// Digest of the row that it must have in ClickHouse.
    pub(super) row: u64,
    /// Digest of what the booth reported and a journal knows; of a command: of its content.
    pub(super) facts: u64,
    /// Digest of what else the record said.
    pub(super) extra: u64,
    /// Digest of what a refund of it must say; 0: no charge.
    pub(super) charge: u64,
    /// Of usage, in millionths.
    pub(super) quantity: i64,
}

/// From `effective_at_ms` on this plan; the opening's has `i64::MIN`.
#[derive(Debug, Clone)]
pub(super) struct PlanFrom {
    pub(super) seq: u64,
    pub(super) effective_at_ms: i64,
    pub(super) plan: Box<str>,
}

/// What an account is called and its zone, from an entry on.
#[derive(Debug, Clone)]
pub(super) struct ProfileFrom {
    pub(super) seq: u64,
    pub(super) posted_at_ms: i64,
    pub(super) name: Box<str>,
    pub(super) time_zone: Box<str>,
}

/// How an account was opened.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) name: Box<str>,
    pub(super) currency: Box<str>,
    pub(super) time_zone: Box<str>,
    pub(super) posted_at_ms: i64,
    pub(super) seq: u64,
    pub(super) source_offset: i64,
    pub(super) input_generation: u32,
}

/// An account as the ledger tells it.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) id: Box<str>,
    pub(super) entries: Vec<Posted>,
    pub(super) opened: Option<Opened>,
    pub(super) plans: Vec<PlanFrom>,
    /// What was said of it after the opening.
    pub(super) profiles: Vec<ProfileFrom>,
    pub(super) seq: u64,
    pub(super) balance: i64,
    pub(super) held: i64,
    pub(super) purse: Purse,
    /// Of prices with tiers or an included quantity.
    pub(super) counts: Counts,
    /// Given back, and to be charged anew by the next entry.
    pub(super) given_back: Option<Box<GivenBackFirst>>,
    /// Charges that were made anew, each once.
    pub(super) replaced: HashSet<u64>,
    /// The month whose plan fee comes next; `None`: the one after the opening.
    pub(super) fee_next: Option<Month>,
    /// Where credit is bought by itself.
    pub(super) recharges: Option<Box<Recharges>>,
    pub(super) alerts: Option<Box<AlertWatch>>,
    /// Lowest balance ever.
    pub(super) balance_min: i64,
    /// How far its balances are off, without sign.
    pub(super) drift: i128,
    /// Where an entry stands that is not at its `seq`: only in a ledger with a gap.
    pub(super) misplaced: HashMap<u64, u32>,
    /// A bit for each entry whose row was seen.
    pub(super) rows_seen: Vec<u64>,
    pub(super) balance_seen: bool,
    /// Posted to while the audit ran.
    pub(super) moving: bool,
    /// A journal opened it, so that its whole history must be planned.
    pub(super) journaled: bool,
}

impl Account {
    /// The plan at an instant, as it was known before entry `seq`: the latest one in effect. The one it was opened with
    /// is in effect from the beginning of time.
    pub(super) fn plan_at(&self, occurred_at_ms: i64, seq: u64) -> &str {
        let known = self.plans.iter().filter(|from| from.seq < seq);
        let in_effect = known.filter(|from| from.effective_at_ms <= occurred_at_ms);
        let latest = in_effect.max_by_key(|from| from.effective_at_ms).or_else(|| self.plans.first());
        latest.map_or("", |from| &from.plan)
    }

    /// What it was called before entry `seq`, and its zone.
    pub(super) fn profile_before(&self, seq: u64) -> (&str, &str) {
        let opened = self.opened.as_ref().map_or(("", ""), |opened| (&*opened.name, &*opened.time_zone));
        let set = self.profiles.iter().rfind(|set| set.seq < seq);
        set.map_or(opened, |set| (&*set.name, &*set.time_zone))
    }

    /// Where its days and months begin, by the entries so far.
    pub(super) fn zone(&self) -> Tz {
        calendar::zone(self.profile_before(u64::MAX).1)
    }

    /// The same at an instant.
    pub(super) fn zone_at(&self, ms: i64) -> Tz {
        let opened = self.opened.as_ref().map_or("", |opened| &opened.time_zone);
        let set = self.profiles.iter().rfind(|set| set.posted_at_ms <= ms);
        calendar::zone(set.map_or(opened, |set| &set.time_zone))
    }

    pub(super) fn currency(&self) -> &str {
        self.opened.as_ref().map_or("", |opened| &opened.currency)
    }

    /// What its months have counted, for an entry that is posted at an instant.
    pub(super) fn history(&self, posted_at_ms: i64, retention_ms: i64) -> History<'_> {
        History { counts: &self.counts, zone: self.zone(), posted_at_ms, retention_ms, instead: None }
    }

    /// Index of the entry with that `seq`.
    pub(super) fn index_of(&self, seq: u64) -> Option<usize> {
        let guess = usize::try_from(seq).ok()?.checked_sub(1)?;
        if self.entries.get(guess).is_some_and(|entry| entry.seq == seq) {
            return Some(guess);
        }
        self.misplaced.get(&seq).map(|index| *index as usize)
    }
}

/// A usage entry as one report of its operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported {
    /// The operation's report before this one, or [`NONE`].
    pub(super) before: u32,
    pub(super) account: u32,
    pub(super) entry: u32,
    pub(super) attempt: u32,
    pub(super) input_generation: u32,
    pub(super) is_charge: bool,
    /// Posted by a command: when the record of a topic met it is not written down.
    pub(super) is_redriven: bool,
    pub(super) is_planned: bool,
    /// Digest of what is priced.
    pub(super) content: u64,
}

/// An entry that a command made.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandPosted {
    pub(super) account: u32,
    pub(super) entry: u32,
    pub(super) occurred_at_ms: i64,
    pub(super) is_planned: bool,
    /// Digest of amount and reason.
    pub(super) content: u64,
}

/// See the module.
pub struct Audit {
    pub(super) options: AuditOptions,
    pub(super) books: Books,
    pub(super) accounts: Vec<Account>,
    pub(super) by_id: HashMap<Box<str>, u32>,
    pub(super) reports: Vec<Reported>,
    /// The newest report of each operation.
    pub(super) operations: HashMap<Key, u32>,
    pub(super) commands: HashMap<Key, CommandPosted>,
    pub(super) sources: HashMap<(u32, Source, i32), SourceIndex>,
    pub(super) inputs: HashMap<(Source, i32), Input>,
    pub(super) posted_at_ms: HashMap<i32, i64>,
    /// One past the last record of each partition.
    pub(super) ledger_ends: BTreeMap<i32, i64>,
    pub(super) rollups: [HashMap<Key, Sums>; 3],
    pub(super) dead: Vec<DeadLetter>,
    pub(super) dead_by_source: HashMap<(Source, i32, i64), usize>,
    pub(super) redrives: Redrives,
    pub(super) rows_given: bool,
    pub(super) rollups_given: bool,
    pub(super) balances_given: bool,
    /// Rows of entries that the audit has not read: posted meanwhile, or made up.
    pub(super) rows_beyond: Vec<(Box<str>, u64)>,
    /// Entries posted meanwhile.
    pub(super) tail: HashSet<(Box<str>, u64)>,
    pub(super) journal: Journal,
    pub(super) report: Report,
    pub(super) parts: Parts,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Audit {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(options: AuditOptions) -> Self {
        Self {
            options,
            books: Books::new(options.price_book_stale_ms),
            accounts: Vec::new(),
            by_id: HashMap::new(),
            reports: Vec::new(),
            operations: HashMap::new(),
            commands: HashMap::new(),
            sources: HashMap::new(),
            inputs: HashMap::new(),
            posted_at_ms: HashMap::new(),
            ledger_ends: BTreeMap::new(),
            rollups: [HashMap::new(), HashMap::new(), HashMap::new()],
            dead: Vec::new(),
            dead_by_source: HashMap::new(),
            redrives: Redrives::default(),
            rows_given: false,
            rollups_given: false,
            balances_given: false,
            rows_beyond: Vec::new(),
            tail: HashSet::new(),
            journal: Journal::default(),
            report: Report::new(options.examples_max),
            parts: Parts::default(),
        }
    }

    /// A record of `price-book`, in order.
    pub fn price_book(&mut self, record: &LogRecord<'_>) {
        if self.books.publish(record.timestamp_ms.unwrap_or_default(), record.payload.unwrap_or_default()) {
            self.report.checked(Checked::PriceBooks, 1);
        }
    }

    /// One past the last ledger record of each partition that has any: how far the sink must be.
    #[must_use]
    pub fn ledger_ends(&self) -> &BTreeMap<i32, i64> {
        &self.ledger_ends
    }

    /// A table's definition as the server shows it; `None`: there is no such table.
    pub fn table_settings(&mut self, table: &str, definition: Option<&str>) {
        let Some(definition) = definition else {
            self.report.defect(Defect::SettingOff, || format!("table {table} does not exist"));
            return;
        };
        self.report.checked(Checked::Tables, 1);
        let window = ["non_replicated_deduplication_window", "replicated_deduplication_window"]
            .iter()
            .filter_map(|name| setting(definition, name))
            .max();
        let needed = tollbooth_schemas::clickhouse::DEDUPLICATION_WINDOW;
        if window.unwrap_or_default() < needed {
            self.report.defect(Defect::SettingOff, || {
                format!("table {table}: the deduplication window is {}, not {needed}", window.unwrap_or_default())
            });
        }
        if setting(definition, "fsync_after_insert") != Some(1) {
            self.report.defect(Defect::SettingOff, || format!("table {table}: fsync_after_insert is not 1"));
        }
    }

    /// Compares what only the whole can tell, and hands out the report.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.finish_sources();
        self.finish_redrives();
        self.finish_fees();
        self.finish_recharges();
        self.finish_alerts();
        self.finish_repricings();
        self.finish_rows();
        self.finish_rollups();
        self.finish_balances();
        self.finish_journal();
        self.finish_totals();
        self.report
    }

    fn finish_totals(&mut self) {
        let told = self.accounts.iter().filter(|account| !account.entries.is_empty());
        for account in told.clone() {
            let totals: &mut CurrencyTotals = self.report.totals.entry(account.currency().to_owned()).or_default();
            totals.accounts += 1;
            totals.balance += units(i128::from(account.balance));
            totals.drift += units(account.drift);
        }
        let accounts = told.count() as u64;
        self.report.checked(Checked::Accounts, accounts);
        self.report.checked(Checked::DeadLetters, self.dead.len() as u64);
    }

    pub(super) fn count_unchecked(&mut self, what: Unchecked, count: u64) {
        if count > 0 {
            self.report.unchecked(what, count);
        }
    }

    /// The reports of an operation, newest first.
    pub(super) fn reports_of(&self, operation: &Key) -> ReportsOf<'_> {
        ReportsOf { audit: self, next: self.operations.get(operation).copied().unwrap_or(NONE) }
    }

    pub(super) fn posted(&self, report: &Reported) -> Option<&Posted> {
        self.accounts.get(report.account as usize)?.entries.get(report.entry as usize)
    }

    /// An entry as examples name it.
    pub(super) fn name(&self, account: u32, entry: u32) -> String {
        let Some(account) = self.accounts.get(account as usize) else { return String::new() };
        let seq = account.entries.get(entry as usize).map_or(0, |entry| entry.seq);
        tollbooth_schemas::ids::entry_id(&account.id, seq)
    }
}

/// Indexes of an operation's reports.
pub(super) struct ReportsOf<'a> {
    audit: &'a Audit,
    next: u32,
}

impl Iterator for ReportsOf<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let index = self.next as usize;
        self.next = self.audit.reports.get(index)?.before;
        Some(index)
    }
}

/// `name = number` in a table's definition.
fn setting(definition: &str, name: &str) -> Option<u64> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let at = definition.match_indices(name).map(|(at, _)| at).find(|at| {
        // `replicated_...` is also the end of `non_replicated_...`.
        !definition.as_bytes().get(at.wrapping_sub(1)).copied().is_some_and(is_name)
    })?;
    let value = definition.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    value.get(..digits)?.parse().ok()
}
