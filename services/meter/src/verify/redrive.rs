//! Dead letters that were driven again or dismissed: each posted at most once, of its own bytes, and each try with a word
//! about it.

use hashbrown::HashMap;
use tollbooth_schemas::{
    dead_letter::{LetterId, LetterOutcome, Reason, header},
    ids::entry_id,
    redrive,
    time::{DAY_MS, parse_rfc3339_ms},
    usage::UsageEvent,
    v1::{Command, Entry, LedgerRecord, LetterSource, RedriveLetter, SourceTopic, Usage},
};

use super::{
    audit::{Audit, LogRecord, Source},
    digest::{self, Key, Parts},
    report::{Checked, Defect},
    source::{Fate, Read, read, untimely},
};

/// Said of a letter that was not decided, because the prices could not be read.
const UNDECIDED: &str = "price_book_unavailable";
/// How long before the end of the retention nothing is driven again any more.
const SPARE_MS: i64 = 10 * DAY_MS;

/// What is known of re-drives. A letter is known by a digest of its id.
#[derive(Debug, Default)]
pub(super) struct Redrives {
    outcomes: Vec<Outcome>,
    /// By partition and offset of the command.
    by_command: HashMap<(i32, i64), usize>,
    /// Index of the letter in the audit's list.
    letters: HashMap<Key, usize>,
    posted: HashMap<Key, PostedLetter>,
}

/// A word about a letter.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    letter: Key,
    command: Option<(i32, i64)>,
    outcome: Option<LetterOutcome>,
    reason: Box<str>,
    at_ms: i64,
    entry_id: Box<str>,
    /// Its command was read.
    is_seen: bool,
}

/// An entry that was a letter.
#[derive(Debug, Clone, Copy)]
struct PostedLetter {
    account: u32,
    entry: u32,
    command_offset: i64,
    input_generation: u32,
    /// Digest of what it must have of its command.
    asked: u64,
}

fn key_of(id: &LetterId) -> Key {
    Parts::default().text(&id.topic).number(id.partition.into()).number(id.offset).key()
}

fn asked(idempotency_key: &str, body_hash: &[u8], actor: &str, source: &LetterSource) -> u64 {
    let mut parts = Parts::default();
    parts.text(idempotency_key).number(digest::of_bytes(body_hash).cast_signed()).text(actor);
    parts.text(&source.topic).number(source.partition.into()).number(source.offset).digest()
}

impl Audit {
    /// A dead letter, by the id that it has for people.
    pub(super) fn note_dead(&mut self, record: &LogRecord<'_>, index: usize) {
        if let Some(id) = letter_of(record) {
            self.redrives.letters.entry(key_of(&id)).or_insert(index);
        }
    }

    /// A record of `dead-letter` that is no letter, but what became of one.
    pub(super) fn redrive_outcome(&mut self, record: &LogRecord<'_>) {
        let at = record.offset;
        let text = |name| record.header_text(name).unwrap_or_default();
        let command = text(header::COMMAND).split_once('/');
        let command = command.and_then(|(partition, offset)| partition.parse().ok().zip(offset.parse().ok()));
        let outcome = LetterOutcome::from_code(text(header::OUTCOME));
        if outcome == Some(LetterOutcome::Dismissed) {
            self.dismissal(record);
            return;
        }
        let (Some(id), Some(_), Some(_)) = (letter_of(record), command, outcome) else {
            self.report.defect(Defect::RedriveOff, || format!("outcome {at} names no letter, command or outcome"));
            return;
        };
        let outcome = Outcome {
            letter: key_of(&id),
            command,
            outcome,
            reason: text(header::REASON).into(),
            at_ms: parse_rfc3339_ms(text(header::REDRIVEN_AT)).unwrap_or(i64::MAX),
            entry_id: text(header::ENTRY).into(),
            is_seen: false,
        };
        let before = command.and_then(|command| self.redrives.by_command.get(&command));
        if let Some(before) = before.and_then(|index| self.redrives.outcomes.get_mut(*index)) {
            // What posted nothing may be judged again where the group's offsets were set back, and otherwise than before.
            let may_repeat = before.outcome != Some(LetterOutcome::Posted) && before.letter == outcome.letter;
            if may_repeat {
                *before = outcome;
                self.report.checked(Checked::DeadRepeats, 1);
            } else {
                self.report.defect(Defect::RedriveOff, || format!("outcome {at}: its command has one already"));
            }
            return;
        }
        if let Some(command) = command {
            self.redrives.by_command.insert(command, self.redrives.outcomes.len());
        }
        self.redrives.outcomes.push(outcome);
    }

    /// A person's word that nothing is charged for a letter. No command asked for it and no entry came of it, and the topic
    /// may have forgotten the letter meanwhile. It may be there twice. A letter that was being driven again at that time may
    /// be in the ledger: that is judged by its own command.
    fn dismissal(&mut self, record: &LogRecord<'_>) {
        let text = |name| record.header_text(name).unwrap_or_default();
        let is_whole = letter_of(record).is_some()
            && !text(header::DETAIL).is_empty()
            && !text(header::REDRIVEN_BY).is_empty()
            && parse_rfc3339_ms(text(header::REDRIVEN_AT)).is_some();
        let is_alone = text(header::ENTRY).is_empty() && text(header::COMMAND).is_empty();
        if is_whole && is_alone {
            self.report.checked(Checked::Dismissed, 1);
            return;
        }
        let at = record.offset;
        self.report.defect(Defect::RedriveOff, || {
            format!("dismissal {at} does not say of which letter, why, when or by whom, or names an entry or a command")
        });
    }

    /// A usage entry, which says whether it was a letter.
    pub(super) fn note_letter(
        &mut self,
        (account, index): (u32, u32),
        record: &LedgerRecord,
        entry: &Entry,
        usage: &Usage,
    ) {
        let is_command = entry.source_topic() == SourceTopic::Commands;
        let Some(source) = usage.letter.as_deref().filter(|_| is_command) else {
            if is_command || usage.letter.is_some() || entry.command.is_some() {
                let name = self.name(account, index);
                self.report
                    .defect(Defect::WrongContent, || format!("{name}: a letter, and not by command, or the reverse"));
            }
            return;
        };
        let id = LetterId::from(source);
        let command = entry.command.clone().unwrap_or_default();
        if command.idempotency_key != redrive::idempotency_key(&id) {
            let name = self.name(account, index);
            self.report.defect(Defect::WrongContent, || format!("{name}: its key is not that of the letter {id}"));
        }
        let posted = PostedLetter {
            account,
            entry: index,
            command_offset: entry.source_offset,
            input_generation: record.input_generation,
            asked: asked(&command.idempotency_key, &command.body_hash, &command.actor, source),
        };
        if let Some(before) = self.redrives.posted.insert(key_of(&id), posted) {
            let (name, before) = (self.name(account, index), self.name(before.account, before.entry));
            self.report.defect(Defect::Doubled, || format!("{name}: the letter {id} again after {before}"));
        }
    }

    /// A command that drives a letter again, against what came of it.
    pub(super) fn check_redrive(
        &mut self,
        record: &LogRecord<'_>,
        command: &Command,
        letter: &RedriveLetter,
        posted: Option<(u32, u32)>,
    ) {
        self.report.checked(Checked::Redriven, 1);
        let place = (record.partition, record.offset);
        let Some(id) = letter.id() else {
            self.report.defect(Defect::RedriveOff, || format!("command {place:?} names no letter"));
            return;
        };
        self.check_bytes(&id, letter);
        let headers: Vec<(&str, Option<&[u8]>)> =
            letter.headers.iter().map(|header| (header.name.as_str(), Some(header.value.as_slice()))).collect();
        let original = LogRecord {
            partition: record.partition,
            offset: id.offset,
            timestamp_ms: Some(letter.received_at_ms),
            key: Some(command.account_id.as_bytes()),
            payload: Some(&letter.payload),
            headers: &headers,
        };
        let read = read(&original, self.options.partitions);
        let outcome = self.redrives.by_command.get(&place).copied();
        let outcome = outcome.and_then(|index| self.redrives.outcomes.get_mut(index));
        let outcome = outcome.filter(|outcome| outcome.letter == key_of(&id)).map(|outcome| {
            outcome.is_seen = true;
            (outcome.outcome, outcome.reason.clone(), outcome.at_ms, outcome.entry_id.clone())
        });
        if let Some(posted) = posted {
            self.compare_source(&original, &read, posted.0, posted.1);
            let said = outcome.as_ref().map(|(outcome, .., entry_id)| (*outcome, &**entry_id));
            self.check_posted(&id, command, letter, posted, said);
            if let Ok(event) = &read {
                self.check_remembered(event, posted);
            }
            return;
        }
        match outcome {
            None => {
                if !self.was_posted_before(&id, record.offset) {
                    self.report.defect(Defect::Lost, || {
                        format!("the letter {id}, driven again by command {place:?}, left no trace")
                    });
                }
            }
            Some((Some(LetterOutcome::Posted), .., entry_id)) => {
                self.report
                    .defect(Defect::Lost, || format!("the letter {id} is said to be {entry_id}, and is not there"));
            }
            Some((Some(LetterOutcome::Refused), reason, at_ms, _)) => {
                if !self.is_refusal_founded(letter, &read, &reason, at_ms) {
                    self.report
                        .defect(Defect::DeadUnfounded, || format!("the letter {id}, driven again, is not {reason}"));
                }
            }
            Some((said, ..)) => {
                let fate = match &read {
                    Ok(event) => self.fate(event, i64::MAX),
                    Err(_) => Fate::Lost,
                };
                let holds = match said {
                    Some(LetterOutcome::Duplicate) => matches!(fate, Fate::Duplicate),
                    _ => matches!(fate, Fate::Stale),
                };
                if !holds {
                    let said = said.map(LetterOutcome::code).unwrap_or_default();
                    self.report.defect(Defect::Lost, || format!("the letter {id}, driven again, is no {said}"));
                }
            }
        }
    }

    /// The command carries the letter's own bytes.
    fn check_bytes(&mut self, id: &LetterId, letter: &RedriveLetter) {
        let found = self.redrives.letters.get(&key_of(id)).and_then(|index| self.dead.get(*index));
        match found {
            None => self
                .report
                .defect(Defect::SourceMissing, || format!("the letter {id} was driven again, and is not there")),
            Some(found) if !found.has_bytes(&letter.payload) => {
                self.report
                    .defect(Defect::DeadAltered, || format!("the letter {id} was driven again with other bytes"));
            }
            Some(_) => {}
        }
    }

    fn check_posted(
        &mut self,
        id: &LetterId,
        command: &Command,
        letter: &RedriveLetter,
        (account, entry): (u32, u32),
        said: Option<(Option<LetterOutcome>, &str)>,
    ) {
        let name = self.name(account, entry);
        let source = letter.source.clone().unwrap_or_default();
        let expected = asked(&command.idempotency_key, &command.body_hash, &command.actor, &source);
        let posted = self.redrives.posted.get(&key_of(id));
        if posted.is_none_or(|posted| posted.asked != expected) {
            self.report
                .defect(Defect::WrongContent, || format!("{name}: another letter, key or actor than its command"));
        }
        if said.is_none_or(|(outcome, entry_id)| outcome != Some(LetterOutcome::Posted) || entry_id != name) {
            self.report.defect(Defect::RedriveOff, || format!("{name} was the letter {id}, and nobody says so"));
        }
    }

    /// Nothing is posted that occurred so long ago that a charge of it may be forgotten.
    fn check_remembered(&mut self, event: &UsageEvent<'_>, (account, entry): (u32, u32)) {
        let posted = self.accounts.get(account as usize).and_then(|account| account.entries.get(entry as usize));
        if posted.is_some_and(|posted| self.is_forgotten(event, posted.posted_at_ms)) {
            let name = self.name(account, entry);
            self.report
                .defect(Defect::WronglyPosted, || format!("{name}: a letter that is too old to be driven again"));
        }
    }

    fn is_forgotten(&self, event: &UsageEvent<'_>, at_ms: i64) -> bool {
        event.occurred_at_ms < at_ms.saturating_sub((self.options.retention_ms - SPARE_MS).max(0))
    }

    /// By an earlier command: this one was answered as that one.
    fn was_posted_before(&self, id: &LetterId, command_offset: i64) -> bool {
        let generation = self.options.input_generation;
        self.redrives
            .posted
            .get(&key_of(id))
            .is_some_and(|posted| posted.input_generation < generation || posted.command_offset < command_offset)
    }

    fn is_refusal_founded(&mut self, letter: &RedriveLetter, read: &Read<'_>, reason: &str, at_ms: i64) -> bool {
        if reason == UNDECIDED {
            return true;
        }
        let Some(reason) = Reason::from_code(reason) else { return false };
        match read {
            // Whether the account is open is looked at before the bytes are.
            Err(found) => *found == reason || reason == Reason::UnknownAccount,
            Ok(event) if reason == Reason::TooOld => {
                let (age, future) = (self.options.age_max_ms, self.options.future_max_ms);
                self.is_forgotten(event, at_ms)
                    || untimely(event, Some(letter.received_at_ms), age, future) == Some(Reason::TooOld)
            }
            Ok(event) => self.is_founded((event, i64::MAX, Some(letter.received_at_ms)), reason, at_ms),
        }
    }

    /// What is said to be posted, and whose command was not read: the topic may have forgotten it.
    pub(super) fn finish_redrives(&mut self) {
        for outcome in self.redrives.outcomes.iter().filter(|outcome| !outcome.is_seen) {
            let Some((partition, offset)) = outcome.command else { continue };
            let input = self.inputs.get(&(Source::Commands, partition));
            // Written behind the end of the ledger that was read.
            let is_beyond = input.is_none_or(|input| offset >= input.next);
            if is_beyond || outcome.outcome != Some(LetterOutcome::Posted) {
                continue;
            }
            let posted = self.redrives.posted.get(&outcome.letter);
            let name = posted.and_then(|posted| {
                let account = self.accounts.get(posted.account as usize)?;
                Some(entry_id(&account.id, account.entries.get(posted.entry as usize)?.seq))
            });
            if name.as_deref() != Some(&*outcome.entry_id) {
                let said = &outcome.entry_id;
                self.report.defect(Defect::Lost, || format!("a letter is said to be {said}, and is not there"));
            }
        }
    }
}

fn letter_of(record: &LogRecord<'_>) -> Option<LetterId> {
    let text = |name| record.header_text(name);
    Some(LetterId {
        topic: text(header::SOURCE_TOPIC)?.to_owned(),
        partition: text(header::SOURCE_PARTITION)?.parse().ok()?,
        offset: text(header::SOURCE_OFFSET)?.parse().ok()?,
    })
}
