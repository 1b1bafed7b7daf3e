//! Every entry against the record it came from, and every consumed record against the ledger.

use std::borrow::Cow;

use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    Money,
    dead_letter::Reason,
    usage::{self, Attributes, Status, UsageEvent},
};

use super::{
    audit::{Account, Audit, LogRecord, Reported, Source},
    digest::{self, Key},
    facts::{Extra, Facts},
    fold::expected_charge,
    price::Work,
    report::{Checked, Defect, Unchecked},
};

/// Entries by the offset of their source record.
#[derive(Debug, Default)]
pub(super) struct SourceIndex {
    entries: Vec<SourceEntry>,
    is_sorted: bool,
}

#[derive(Debug, Clone, Copy)]
struct SourceEntry {
    offset: i64,
    account: u32,
    entry: u32,
    is_seen: bool,
}

impl SourceIndex {
    pub(super) fn push(&mut self, offset: i64, account: u32, entry: u32) {
        self.entries.push(SourceEntry { offset, account, entry, is_seen: false });
        self.is_sorted = false;
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            self.entries.sort_unstable_by_key(|entry| entry.offset);
            self.is_sorted = true;
        }
    }

    /// The first entry of a later record.
    pub(super) fn behind(&mut self, offset: i64) -> Option<(u32, u32)> {
        self.sort();
        let from = self.entries.partition_point(|entry| entry.offset <= offset);
        self.entries.get(from).map(|entry| (entry.account, entry.entry))
    }

    /// Marks the entries of a record as seen; the first one.
    fn take(&mut self, offset: i64) -> Option<(u32, u32)> {
        self.sort();
        let from = self.entries.partition_point(|entry| entry.offset < offset);
        let found = self.entries.get(from).filter(|entry| entry.offset == offset).copied();
        for entry in self.entries.iter_mut().skip(from).take_while(|entry| entry.offset == offset) {
            entry.is_seen = true;
        }
        found.map(|entry| (entry.account, entry.entry))
    }
}

/// What is known of an input partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    /// First offset that the topic still has.
    low: i64,
    /// Everything below was consumed.
    pub(super) next: i64,
}

/// A usage record, read again; or what it must be a dead letter for.
pub(super) type Read<'a> = Result<UsageEvent<'a>, Reason>;

/// What must have become of a record that has neither entry nor dead letter.
pub(super) enum Fate {
    Duplicate,
    Stale,
    Lost,
}

fn is_structured(record: &LogRecord<'_>) -> bool {
    record
        .header_text("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/cloudevents"))
}

fn attributes<'a>(record: &LogRecord<'a>) -> Attributes<'a> {
    let mut attributes = Attributes::default();
    for (name, value) in record.headers {
        let text = value.and_then(|value| std::str::from_utf8(value).ok());
        if let (Some(name), Some(text)) = (name.strip_prefix("ce_"), text) {
            attributes.set(name, Cow::Borrowed(text));
        }
    }
    attributes
}

pub(super) fn read<'a>(record: &LogRecord<'a>, partitions: i32) -> Read<'a> {
    let Some(payload) = record.payload else { return Err(Reason::Malformed) };
    let event = if is_structured(record) {
        usage::parse_structured(payload)
    } else {
        usage::parse_binary(attributes(record), payload)
    };
    match event {
        Err(error) if error.out_of_range => Err(Reason::OutOfRange),
        Err(_) => Err(Reason::Malformed),
        Ok(event) => {
            let key = event.account_id.as_bytes();
            let at_home = record.key == Some(key) && partition_for(key, partitions) == Some(record.partition);
            if at_home { Ok(event) } else { Err(Reason::WrongPartition) }
        }
    }
}

fn work_of<'a>(event: &'a UsageEvent<'a>, plan: &'a str, currency: &'a str) -> Work<'a> {
    Work {
        service: &event.service,
        engine: &event.engine,
        variant: &event.variant,
        country: &event.country,
        unit: &event.unit,
        plan,
        currency,
        quantity_micros: event.quantity.micros(),
        occurred_at_ms: event.occurred_at_ms,
        is_test: event.mode == usage::Mode::Test,
        history: None,
    }
}

impl Audit {
    /// Where an input partition begins and up to where it was consumed, exclusive; before its records.
    pub fn input(&mut self, source: Source, partition: i32, low: i64, next: i64) {
        self.inputs.insert((source, partition), Input { low, next });
    }

    /// A record of `usage`, of the current input generation.
    pub fn usage_record(&mut self, record: &LogRecord<'_>) {
        self.report.checked(Checked::UsageRecords, 1);
        let at = (Source::Usage, record.partition, record.offset);
        let posted = self.take_source(Source::Usage, record);
        let dead = self.take_dead(at, record);
        // Also where it is a dead letter by now: what it was judged by may lie behind the ledger's end.
        if posted.is_none() && !self.is_consumed(Source::Usage, record) {
            self.count_unchecked(Unchecked::NotConsumed, 1);
            self.journal.waiting.push(record);
            return;
        }
        let read = read(record, self.options.partitions);
        if let Some((account, entry)) = posted {
            self.compare_source(record, &read, account, entry);
        }
        match dead {
            Some(_) if posted.is_some() => {
                self.report.defect(Defect::DeadUnexpected, || format!("{at:?} is posted and a dead letter"));
            }
            Some(index) => self.check_reason(record, &read, index),
            None if posted.is_none() => self.check_fate(record, &read),
            None => {}
        }
    }

    pub(super) fn take_source(&mut self, source: Source, record: &LogRecord<'_>) -> Option<(u32, u32)> {
        let key = (self.options.input_generation, source, record.partition);
        self.sources.get_mut(&key)?.take(record.offset)
    }

    pub(super) fn is_consumed(&self, source: Source, record: &LogRecord<'_>) -> bool {
        self.inputs.get(&(source, record.partition)).is_some_and(|input| record.offset < input.next)
    }

    /// The entry says what the record says, and costs what the record's content costs.
    pub(super) fn compare_source(&mut self, record: &LogRecord<'_>, read: &Read<'_>, account: u32, entry: u32) {
        self.report.checked(Checked::SourcesCompared, 1);
        let name = || format!("usage {}/{}", record.partition, record.offset);
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let Some(posted) = at.entries.get(entry as usize).copied() else { return };
        let entry_name = tollbooth_schemas::ids::entry_id(&at.id, posted.seq);
        let event = match read {
            Ok(event) => event,
            Err(reason) => {
                let code = reason.code();
                self.report.defect(Defect::WronglyPosted, || format!("{entry_name}: {} is {code}", name()));
                return;
            }
        };
        let received_at_ms = record.timestamp_ms.unwrap_or_default();
        if let Some(code) = untimely(event, record.timestamp_ms, self.options.age_max_ms, self.options.future_max_ms) {
            let code = code.code();
            self.report.defect(Defect::WronglyPosted, || format!("{entry_name}: {} is {code}", name()));
        }
        let facts = Facts::of_event(event).digest(&mut self.parts);
        let extra = Extra::of_event(event, received_at_ms).digest(&mut self.parts);
        if *event.account_id == *at.id && facts == posted.facts && extra == posted.extra {
            return;
        }
        self.report.defect(Defect::WrongContent, || format!("{entry_name}: says something else than {}", name()));
        // The same facts cost the same: `check_usage` has priced them.
        if facts == posted.facts {
            return;
        }
        let plan = at.plan_at(event.occurred_at_ms, posted.seq);
        let work = work_of(event, plan, at.currency());
        let expected = if event.status == Status::Success {
            expected_charge(&self.books, &work, posted.posted_at_ms, posted.amount)
        } else if posted.amount == 0 {
            Ok(())
        } else {
            Err(Box::new(Err(Reason::NoPrice)))
        };
        if let Err(expected) = expected {
            self.report.defect(Defect::WrongPrice, || {
                format!("{entry_name}: amount {} (millionths), by {} it is {expected:?}", posted.amount, name())
            });
            at.drift += (i128::from(posted.amount)
                + i128::from(expected.as_ref().as_ref().map_or(0, |charge| charge.micros)))
            .abs();
        }
    }

    /// A consumed record without entry and dead letter repeats one that has an entry.
    fn check_fate(&mut self, record: &LogRecord<'_>, read: &Read<'_>) {
        let fate = match read {
            Err(_) => Fate::Lost,
            Ok(event) => self.fate(event, record.offset),
        };
        match fate {
            Fate::Duplicate => self.report.checked(Checked::Duplicates, 1),
            Fate::Stale => self.report.checked(Checked::Stale, 1),
            Fate::Lost => self.report.defect(Defect::Lost, || {
                let what = match read {
                    Err(reason) => reason.code().to_owned(),
                    Ok(event) => format!("{} operation {:?}", &*event.account_id, &*event.operation_id),
                };
                format!("usage {}/{} was consumed and left no trace: {what}", record.partition, record.offset)
            }),
        }
    }

    pub(super) fn fate(&mut self, event: &UsageEvent<'_>, offset: i64) -> Fate {
        let content = Facts::content_of_event(&mut self.parts, event);
        let operation = digest::of_pair(&event.account_id, &event.operation_id);
        let charge = self.charge_before(&operation, offset);
        match (charge, event.status) {
            (Some(charge), Status::Success) if charge.content == content => Fate::Duplicate,
            (Some(charge), Status::Failed) if event.attempt < charge.attempt => Fate::Stale,
            (None, Status::Failed) if self.lists_failure(&operation, event.attempt, offset) => Fate::Duplicate,
            _ => Fate::Lost,
        }
    }

    /// The charge of an operation that a record at this offset has met.
    fn charge_before(&self, operation: &Key, offset: i64) -> Option<Reported> {
        let reports = self.reports_of(operation).filter_map(|index| self.reports.get(index));
        reports.filter(|report| report.is_charge && self.is_before(report, offset)).last().copied()
    }

    fn lists_failure(&self, operation: &Key, attempt: u32, offset: i64) -> bool {
        let mut reports = self.reports_of(operation).filter_map(|index| self.reports.get(index));
        // Beyond attempt 64 the meter remembers the highest one only.
        reports.any(|report| {
            let same = report.attempt == attempt || (attempt > 64 && report.attempt > attempt);
            !report.is_charge && same && self.is_before(report, offset)
        })
    }

    fn is_before(&self, report: &Reported, offset: i64) -> bool {
        let generation = self.options.input_generation;
        let earlier = report.input_generation < generation || report.is_redriven;
        let same = report.input_generation == generation;
        earlier || (same && self.posted(report).is_some_and(|posted| posted.source_offset < offset))
    }

    /// Whether the reason of a dead letter follows from the record and from what was known then.
    fn check_reason(&mut self, record: &LogRecord<'_>, read: &Read<'_>, index: usize) {
        let Some((letter, dead_at_ms, reason)) =
            self.dead.get(index).and_then(|letter| Some((letter.offset, letter.dead_at_ms, letter.reason?)))
        else {
            return;
        };
        let founded = match read {
            Err(found) => *found == reason,
            Ok(event) => {
                let event_at = (event, record.offset, record.timestamp_ms);
                self.is_founded(event_at, reason, dead_at_ms.unwrap_or(i64::MAX))
            }
        };
        if !founded {
            let at = (record.partition, record.offset);
            self.report.defect(Defect::DeadUnfounded, || {
                format!("dead letter {letter}: usage {}/{} is not {}", at.0, at.1, reason.code())
            });
        }
    }

    pub(super) fn is_founded(
        &mut self,
        (event, offset, received_at_ms): (&UsageEvent<'_>, i64, Option<i64>),
        reason: Reason,
        dead_at_ms: i64,
    ) -> bool {
        let account = self.by_id.get(&*event.account_id).and_then(|index| self.accounts.get(*index as usize));
        let opened = account.and_then(|account| account.opened.as_ref());
        let operation = digest::of_pair(&event.account_id, &event.operation_id);
        match reason {
            // It may have been opened afterwards.
            Reason::UnknownAccount => opened.is_none_or(|opened| opened.posted_at_ms >= dead_at_ms),
            Reason::TooOld | Reason::InFuture => {
                let (age, future) = (self.options.age_max_ms, self.options.future_max_ms);
                untimely(event, received_at_ms, age, future) == Some(reason)
            }
            Reason::Conflict => {
                let content = Facts::content_of_event(&mut self.parts, event);
                let charge = self.charge_before(&operation, offset);
                event.status == Status::Success && charge.is_some_and(|charge| charge.content != content)
            }
            Reason::FailedAfterCharge => {
                let charge = self.charge_before(&operation, offset);
                event.status == Status::Failed && charge.is_some_and(|charge| event.attempt >= charge.attempt)
            }
            Reason::NoPrice | Reason::EngineRetired | Reason::UnitMismatch | Reason::OutOfRange => {
                event.status == Status::Success
                    && account.is_some_and(|account| self.lacks_price(account, event, reason, dead_at_ms))
            }
            Reason::Malformed | Reason::WrongPartition | Reason::Internal => false,
        }
    }

    /// By any plan that the account was on by then: which one the meter saw is not written down.
    fn lacks_price(&self, account: &Account, event: &UsageEvent<'_>, reason: Reason, dead_at_ms: i64) -> bool {
        let seqs = account.plans.iter().map(|from| from.seq + 1);
        seqs.into_iter().any(|seq| {
            let work = work_of(event, account.plan_at(event.occurred_at_ms, seq), account.currency());
            self.books.outcomes(&work, dead_at_ms).any(|outcome| match outcome {
                Err(found) => found == reason,
                // The balance would have left its bound.
                Ok(charge) => {
                    let balance = i128::from(account.balance_min) - i128::from(charge.micros);
                    reason == Reason::OutOfRange && balance < -i128::from(Money::MAX.micros())
                }
            })
        })
    }

    /// Sources that were not met while the inputs were read.
    pub(super) fn finish_sources(&mut self) {
        let mut cut = 0;
        let mut earlier = 0;
        for ((generation, source, partition), index) in &mut self.sources {
            index.sort();
            let input =
                self.inputs.get(&(*source, *partition)).filter(|_| *generation == self.options.input_generation);
            // In an earlier one accounts of several partitions may have come to lie in this one.
            let compared = if *generation == self.options.input_generation { index.entries.as_slice() } else { &[] };
            for pair in compared.windows(2) {
                if let [first, second] = pair
                    && first.offset == second.offset
                {
                    self.report.defect(Defect::SourceReused, || format!("{source:?} {partition}/{}", first.offset));
                }
            }
            for entry in index.entries.iter().filter(|entry| !entry.is_seen) {
                match input {
                    Some(input) if entry.offset >= input.low => {
                        self.report.defect(Defect::SourceMissing, || {
                            format!("{source:?} {partition}/{}: posted from, and not there", entry.offset)
                        });
                    }
                    None if *generation != self.options.input_generation => earlier += 1,
                    _ => cut += 1,
                }
            }
        }
        self.count_unchecked(Unchecked::SourceCut, cut);
        self.count_unchecked(Unchecked::SourceGeneration, earlier);
        for letter in self.dead.iter().filter(|letter| !letter.is_seen) {
            let Some((source, partition, offset)) = letter.source else { continue };
            if self.inputs.get(&(source, partition)).is_some_and(|input| offset >= input.low) {
                let at = letter.offset;
                self.report.defect(Defect::SourceMissing, || {
                    format!("dead letter {at} of {source:?} {partition}/{offset}, which is not there")
                });
            }
        }
    }
}

/// Why a record is refused by its time; the meter lets the age come first.
pub(super) fn untimely(
    event: &UsageEvent<'_>,
    received_at_ms: Option<i64>,
    age_ms: i64,
    future_ms: i64,
) -> Option<Reason> {
    let received_at_ms = received_at_ms?;
    if event.occurred_at_ms < received_at_ms.saturating_sub(age_ms) {
        return Some(Reason::TooOld);
    }
    (event.occurred_at_ms > received_at_ms.saturating_add(future_ms)).then_some(Reason::InFuture)
}
