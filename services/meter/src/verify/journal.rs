//! What a fleet wrote down, held against the ledger and the dead letters.
//!
//! A journal is written before anything is sent and after each acknowledgement, never from what the system says, so it
//! is the only witness from outside. Its format is documented where it is written; the few members that count are read
//! here by structures of our own.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use tollbooth_schemas::{
    dead_letter::Reason,
    time::parse_rfc3339_ms,
    usage::{Status, Text},
};

use super::{
    audit::{Audit, CommandPosted},
    digest::{self, Key},
    facts::Facts,
    fold::expected_charge,
    journal_lines::{
        AccountLine, AckedLine, CommandLine, Expect, GapLine, IdLine, Kind, OpenedLine, PlannedLine, TopUpLine,
    },
    price::Work,
    report::{Checked, Defect, Unchecked},
    waiting::Waiting,
};

/// When a line of a journal was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Before the ends of the topics were taken: what it acknowledges lies below them.
    Before,
    /// While the audit ran. What was planned then may be in what was read; what was acknowledged then need not be.
    Meanwhile,
}

/// What journals have told so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    is_given: bool,
    /// Files that were removed, where any were: what stands in the ledger may have been planned there.
    gap: Option<u64>,
    /// Others write to its accounts.
    is_shared: bool,
    planned: HashMap<Box<str>, Planned>,
    commands: HashMap<Key, PlannedCommand>,
    /// Acknowledged, and not planned before.
    unplanned: BTreeSet<Box<str>>,
    pub(super) waiting: Waiting,
}

/// A planned record: what must become of it, and whether it has.
#[derive(Debug)]
struct Planned {
    expect: Expect,
    reason: Option<Reason>,
    is_posted: bool,
    is_acked: bool,
    is_parked: bool,
    is_dead: bool,
    /// Account and operation.
    name: Box<str>,
}

#[derive(Debug)]
struct PlannedCommand {
    name: Box<str>,
    is_posted: bool,
    is_done: bool,
    /// Done before the ends were taken.
    is_promised: bool,
    is_refused: bool,
}

impl Audit {
    /// A line of a journal, in order. After ledger, dead letters and inputs.
    ///
    /// # Errors
    /// Where the line is none of a journal's.
    pub fn journal_line(&mut self, line: &[u8], told: Told) -> Result<(), serde_json::Error> {
        self.journal.is_given = true;
        self.report.checked(Checked::JournalLines, 1);
        let kind: Kind<'_> = serde_json::from_slice(line)?;
        let is_promise = told == Told::Before;
        match &*kind.record {
            "planned" => self.planned(&serde_json::from_slice(line)?),
            "acked" => {
                let acked: AckedLine<'_> = serde_json::from_slice(line)?;
                if is_promise {
                    for id in &acked.ids {
                        self.acked(id);
                    }
                } else {
                    self.count_unchecked(Unchecked::AckedMeanwhile, acked.ids.len() as u64);
                }
            }
            "parked" => {
                let parked: IdLine<'_> = serde_json::from_slice(line)?;
                if let Some(planned) = self.journal.planned.get_mut(&*parked.id) {
                    planned.is_parked = true;
                }
            }
            "account_planned" => self.account_planned(&serde_json::from_slice(line)?),
            "account_opened" if !is_promise => self.count_unchecked(Unchecked::AckedMeanwhile, 1),
            "account_opened" => {
                let opened: OpenedLine<'_> = serde_json::from_slice(line)?;
                let is_open = self.by_id.get(&*opened.account_id).is_some_and(|index| {
                    self.accounts.get(*index as usize).is_some_and(|account| account.opened.is_some())
                });
                if !is_open {
                    self.report
                        .defect(Defect::Lost, || format!("{}: opened, and not in the ledger", &*opened.account_id));
                }
            }
            "top_up_planned" => self.top_up_planned(&serde_json::from_slice(line)?),
            "top_up_done" => {
                self.top_up_done(&serde_json::from_slice(line)?, is_promise);
                self.count_unchecked(Unchecked::AckedMeanwhile, u64::from(!is_promise));
            }
            "top_up_refused" => self.top_up_refused(&serde_json::from_slice(line)?),
            "gap" => {
                let gap: GapLine = serde_json::from_slice(line)?;
                self.journal_files_removed(gap.files_removed);
            }
            // Runs, books, and a repeat of bytes, which changes nothing of what is expected.
            _ => {}
        }
        Ok(())
    }

    /// Others than the journals' fleets write to their accounts: what nobody planned is counted, and no defect.
    pub fn journals_are_shared(&mut self) {
        self.journal.is_shared = true;
    }

    /// Older files of a journal are gone: what they planned is unknown.
    pub fn journal_files_removed(&mut self, files_so_far: u64) {
        self.journal.gap = self.journal.gap.max(Some(files_so_far));
    }

    /// A last line that the end of a process cut off.
    pub fn journal_line_torn(&mut self) {
        self.count_unchecked(Unchecked::JournalLinesTorn, 1);
    }

    fn acked(&mut self, id: &str) {
        let Some(planned) = self.journal.planned.get_mut(id) else {
            self.journal.unplanned.insert(id.into());
            return;
        };
        if !planned.is_acked {
            planned.is_acked = true;
            self.report.checked(Checked::Acknowledged, 1);
        }
    }

    fn account_planned(&mut self, line: &AccountLine<'_>) {
        let Some(account) = self.by_id.get(&*line.account_id).and_then(|index| self.accounts.get_mut(*index as usize))
        else {
            return;
        };
        account.journaled = true;
        let Some(opened) = &account.opened else { return };
        let plan = account.plans.first().map_or("", |from| &from.plan);
        let found = (&*opened.name, plan, &*opened.currency, &*opened.time_zone);
        let planned = (&*line.name, &*line.plan, &*line.currency, &*line.time_zone);
        if found != planned {
            let id = &account.id;
            self.report.defect(Defect::WrongContent, || format!("{id}: opened as {found:?}, planned {planned:?}"));
        }
    }

    fn planned(&mut self, line: &PlannedLine<'_>) {
        let is_posted = match line.expect {
            Expect::Charge | Expect::Failed => self.planned_work(line),
            Expect::DeadLetter | Expect::Refused => false,
        };
        let planned = Planned {
            expect: line.expect,
            reason: line.reason,
            is_posted,
            is_acked: false,
            is_parked: false,
            is_dead: false,
            name: format!("{} operation {:?} attempt {}", &*line.account_id, &*line.operation_id, line.attempt).into(),
        };
        self.report.checked(Checked::Planned, 1);
        self.journal.planned.insert((*line.id).into(), planned);
    }

    /// Finds the entry of a planned record, and compares the two.
    fn planned_work(&mut self, line: &PlannedLine<'_>) -> bool {
        let is_success = line.status == Status::Success;
        let operation = digest::of_pair(&line.account_id, &line.operation_id);
        let candidates: Vec<usize> = self
            .reports_of(&operation)
            .filter(|index| {
                self.reports.get(*index).is_some_and(|report| {
                    report.is_charge == is_success && (is_success || report.attempt == line.attempt)
                })
            })
            .collect();
        let text = |text: &Option<Text<'_>>| text.as_deref().unwrap_or_default().to_owned();
        let (variant, country, event_id) = (text(&line.variant), text(&line.country), text(&line.event_id));
        let facts = Facts {
            operation_id: &line.operation_id,
            attempt: line.attempt,
            is_success,
            service: &line.service,
            engine: &line.engine,
            variant: &variant,
            country: &country,
            unit: &line.unit,
            quantity_micros: line.quantity.micros(),
            occurred_at_ms: line.occurred_at,
            event_id: &event_id,
            booth_id: &line.booth_id,
        };
        let digest = facts.digest(&mut self.parts);
        for index in &candidates {
            let Some(report) = self.reports.get_mut(*index) else { continue };
            report.is_planned = true;
            let report = *report;
            let Some(posted) = self.posted(&report).copied() else { continue };
            let name = self.name(report.account, report.entry);
            if posted.facts != digest {
                let id = &*line.id;
                self.report.defect(Defect::WrongContent, || format!("{name}: says something else than planned {id}"));
            }
            let currency = self.accounts.get(report.account as usize).map_or("", |account| account.currency());
            let work = Work {
                service: facts.service,
                engine: facts.engine,
                variant: facts.variant,
                country: facts.country,
                unit: facts.unit,
                plan: &line.plan,
                currency,
                quantity_micros: facts.quantity_micros,
                occurred_at_ms: facts.occurred_at_ms,
                is_test: false,
                history: None,
            };
            // What the month counted and whether it was a test no journal says: `check_usage` has priced the same facts.
            let is_elsewhere = posted.facts == digest && self.books.ask_for_more(&work, posted.posted_at_ms);
            let priced = if is_success && !is_elsewhere {
                expected_charge(&self.books, &work, posted.posted_at_ms, posted.amount).err()
            } else {
                None
            };
            if let Some(expected) = priced {
                self.report.defect(Defect::WrongPrice, || {
                    format!("{name}: amount {} (millionths), by {} it is {expected:?}", posted.amount, &*line.id)
                });
            }
        }
        !candidates.is_empty()
    }

    fn top_up_planned(&mut self, line: &TopUpLine<'_>) {
        let key = digest::of_pair(&line.account_id, &line.idempotency_key);
        let content = self.parts.clear().number(line.amount.micros()).text(&line.reason).digest();
        let name = format!("{} command {:?}", &*line.account_id, &*line.idempotency_key);
        let occurred_at_ms = line.occurred_at.as_deref().and_then(parse_rfc3339_ms);
        let posted = self.commands.get_mut(&key);
        let is_posted = posted.is_some();
        if let Some(posted) = posted {
            posted.is_planned = true;
            let is_timely = occurred_at_ms.is_none_or(|instant| instant == posted.occurred_at_ms);
            if posted.content != content || !is_timely {
                self.report.defect(Defect::WrongContent, || format!("{name}: another amount, reason or time"));
            }
        }
        let (is_done, is_promised, is_refused) = (false, false, false);
        let planned = PlannedCommand { name: name.into(), is_posted, is_done, is_promised, is_refused };
        self.journal.commands.entry(key).or_insert(planned);
    }

    fn planned_command(&mut self, line: &CommandLine<'_>) -> Option<&mut PlannedCommand> {
        self.journal.commands.get_mut(&digest::of_pair(&line.account_id, &line.idempotency_key))
    }

    fn top_up_done(&mut self, line: &CommandLine<'_>, is_promise: bool) {
        if let Some(planned) = self.planned_command(line) {
            planned.is_done = true;
            planned.is_promised |= is_promise;
        }
    }

    fn top_up_refused(&mut self, line: &CommandLine<'_>) {
        if let Some(planned) = self.planned_command(line) {
            planned.is_refused = true;
        }
    }

    pub(super) fn finish_journal(&mut self) {
        if !self.journal.is_given {
            return;
        }
        self.match_dead_letters();
        self.journal.waiting.resolve(|raw| id_in(raw, &self.journal.planned));
        self.count_unchecked(Unchecked::JournalFilesRemoved, self.journal.gap.unwrap_or_default());
        for (id, planned) in &self.journal.planned {
            let name = || format!("{id} ({})", planned.name);
            let is_there = planned.is_posted || planned.is_dead;
            if planned.is_parked && is_there {
                self.report.defect(Defect::VerdictOff, || format!("{} was refused, and is nevertheless there", name()));
            }
            if planned.is_parked && planned.expect != Expect::Refused {
                self.report.defect(Defect::VerdictOff, || format!("{} was refused, and should not be", name()));
            }
            if !planned.is_acked {
                continue;
            }
            // Counted where the inputs are read.
            let waits = !is_there && self.journal.waiting.holds(id);
            match planned.expect {
                Expect::Charge | Expect::Failed | Expect::DeadLetter if waits => {}
                Expect::Charge | Expect::Failed if !planned.is_posted => {
                    self.report.defect(Defect::Lost, || format!("{} was acknowledged, and is not there", name()));
                }
                Expect::DeadLetter if !planned.is_dead => {
                    self.report.defect(Defect::DeadMissing, || format!("{} should be {:?}", name(), planned.reason));
                }
                Expect::Refused => {
                    self.report.defect(Defect::VerdictOff, || format!("{} was accepted", name()));
                }
                _ => {}
            }
        }
        for planned in self.journal.commands.values() {
            if planned.is_promised && !planned.is_posted {
                self.report.defect(Defect::Lost, || format!("{} was acknowledged, and is not there", planned.name));
            }
            if planned.is_refused && !planned.is_done && planned.is_posted {
                self.report.defect(Defect::VerdictOff, || format!("{} was refused, and is there", planned.name));
            }
        }
        if self.journal.gap.is_none() {
            self.find_unplanned();
        }
    }

    /// Holds the dead letters against the injected faults, as sets of ids.
    fn match_dead_letters(&mut self) {
        let mut unexpected = BTreeSet::new();
        for letter in &self.dead {
            let planned = &mut self.journal.planned;
            let id = letter.id.as_deref().map(str::to_owned).or_else(|| id_in(&letter.raw, planned));
            let expected = id
                .as_deref()
                .and_then(|id| planned.get_mut(id))
                .filter(|planned| planned.expect == Expect::DeadLetter && planned.reason == letter.reason);
            match expected {
                Some(planned) => planned.is_dead = true,
                None => {
                    unexpected.insert((letter.offset, id, letter.reason.map(Reason::code)));
                }
            }
        }
        for (offset, id, reason) in unexpected {
            if self.journal.gap.is_some() && id.as_deref().is_none_or(|id| !self.journal.planned.contains_key(id)) {
                continue;
            }
            if self.journal.is_shared && id.as_deref().is_none_or(|id| !self.journal.planned.contains_key(id)) {
                self.count_unchecked(Unchecked::OfOthers, 1);
                continue;
            }
            let (id, reason) = (id.unwrap_or_default(), reason.unwrap_or_default());
            self.report.defect(Defect::DeadUnexpected, || format!("dead letter {offset} ({id:?}) is {reason}"));
        }
    }

    /// Acknowledged ids, and entries of journaled accounts, that nobody planned.
    fn find_unplanned(&mut self) {
        for id in std::mem::take(&mut self.journal.unplanned) {
            self.report.defect(Defect::Unplanned, || format!("{id} was acknowledged, and was not planned"));
        }
        let is_journaled = |account: u32| self.accounts.get(account as usize).is_some_and(|account| account.journaled);
        let reports =
            self.reports.iter().filter(|report| !report.is_planned).map(|report| (report.account, report.entry));
        let commands = self.commands.values().filter(|command: &&CommandPosted| !command.is_planned);
        let commands = commands.map(|command| (command.account, command.entry));
        let mut unplanned: Vec<_> = reports.chain(commands).filter(|(account, _)| is_journaled(*account)).collect();
        if self.journal.is_shared {
            let count = unplanned.len() as u64;
            self.count_unchecked(Unchecked::OfOthers, count);
            return;
        }
        unplanned.sort_unstable();
        for (account, entry) in unplanned {
            let name = self.name(account, entry);
            self.report.defect(Defect::Unplanned, || format!("{name} was not planned"));
        }
    }
}

/// The first word of some bytes that is a planned id.
fn id_in(bytes: &[u8], planned: &HashMap<Box<str>, Planned>) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_-.:".contains(letter)));
    words.find(|word| planned.contains_key(*word)).map(str::to_owned)
}
