//! Commands against the entries that they made.

use prost::Message as _;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    Money,
    dead_letter::Reason,
    v1::{Command, Entry, command::Body, entry::Kind},
};

use super::{
    audit::{Audit, LogRecord, Source},
    digest::{self, Parts},
    report::{Checked, Defect, Unchecked},
};

impl Audit {
    /// A record of `commands`, of the current input generation.
    pub fn command_record(&mut self, record: &LogRecord<'_>) {
        self.report.checked(Checked::CommandRecords, 1);
        let (partition, offset) = (record.partition, record.offset);
        let posted = self.take_source(Source::Commands, record);
        let dead = self.take_dead((Source::Commands, partition, offset), record);
        if posted.is_none() && !self.is_consumed(Source::Commands, record) {
            self.count_unchecked(Unchecked::NotConsumed, 1);
            return;
        }
        let command = self.read_command(record);
        if let Some((account, entry)) = posted {
            self.compare_command(record, command.as_ref().ok(), account, entry);
        } else if let Some(index) = dead {
            let reason = self.dead.get(index).and_then(|letter| letter.reason);
            if command.err() != reason {
                self.report.defect(Defect::DeadUnfounded, || {
                    format!("command {partition}/{offset} is a dead letter for {reason:?}")
                });
            }
        } else if command.as_ref().map_or(true, |command| self.must_have_posted(record, command)) {
            self.report.defect(Defect::Lost, || {
                let account = command.map(|command| command.account_id).unwrap_or_default();
                format!("command {partition}/{offset} of {account:?} was consumed and left no trace")
            });
        }
    }

    fn read_command(&self, record: &LogRecord<'_>) -> Result<Command, Reason> {
        let payload = record.payload.ok_or(Reason::Malformed)?;
        let command = Command::decode(payload).map_err(|_| Reason::Malformed)?;
        let key = command.account_id.as_bytes();
        if command.idempotency_key.is_empty() || key.is_empty() {
            return Err(Reason::Malformed);
        }
        let at_home = partition_for(key, self.options.partitions) == Some(record.partition);
        if record.key == Some(key) && at_home { Ok(command) } else { Err(Reason::WrongPartition) }
    }

    fn compare_command(&mut self, record: &LogRecord<'_>, command: Option<&Command>, account: u32, entry: u32) {
        self.report.checked(Checked::SourcesCompared, 1);
        let Some(at) = self.accounts.get(account as usize) else { return };
        let Some(posted) = at.entries.get(entry as usize) else { return };
        let same = command.is_some_and(|command| {
            command.account_id == *at.id && content_of(&mut self.parts, command, posted.posted_at_ms) == posted.facts
        });
        if !same {
            let name = self.name(account, entry);
            let (partition, offset) = (record.partition, record.offset);
            self.report.defect(Defect::WrongContent, || {
                format!("{name}: says something else than command {partition}/{offset}")
            });
        }
    }

    /// Whether a command without an entry of its own should have one under its key. Refusals that depend on the moment
    /// are given the benefit of the doubt.
    fn must_have_posted(&self, record: &LogRecord<'_>, command: &Command) -> bool {
        if self.commands.contains_key(&digest::of_pair(&command.account_id, &command.idempotency_key)) {
            return false;
        }
        let account = self.by_id.get(command.account_id.as_str()).and_then(|index| self.accounts.get(*index as usize));
        let opened = account.and_then(|account| account.opened.as_ref());
        let generation = self.options.input_generation;
        let was_open =
            opened.is_some_and(|opened| opened.input_generation < generation || opened.source_offset < record.offset);
        match &command.body {
            Some(Body::OpenAccount(open)) => {
                let received_at_ms = record.timestamp_ms.unwrap_or(i64::MIN);
                opened.is_none() && (self.books.is_empty() || self.books.names_plan(&open.plan, received_at_ms))
            }
            Some(Body::PostAdjustment(adjustment)) => {
                let small = adjustment.amount_micros.unsigned_abs() < Money::MAX.micros().unsigned_abs() / 2;
                let near = account.is_some_and(|account| account.balance.unsigned_abs() > 1 << 58);
                was_open && adjustment.amount_micros != 0 && small && !near
            }
            Some(Body::ChangePlan(change)) => {
                let received_at_ms = record.timestamp_ms.unwrap_or(i64::MIN);
                was_open && (self.books.is_empty() || self.books.names_plan(&change.plan, received_at_ms))
            }
            None => false,
        }
    }
}

/// What a command asked for, as its entry must say it. Instants that the meter chose (the posting time) are left out.
pub(super) fn command_content(parts: &mut Parts, entry: &Entry) -> u64 {
    parts.clear();
    if let Some(command) = &entry.command {
        parts.text(&command.idempotency_key).number(digest::of_bytes(&command.body_hash).cast_signed());
        parts.text(&command.actor);
    }
    parts.number(entry.amount_micros);
    match &entry.kind {
        Some(Kind::AccountOpened(opened)) => {
            parts.number(1).text(&opened.name).text(&opened.plan).text(&opened.currency).text(&opened.time_zone);
        }
        Some(Kind::Adjustment(adjustment)) => {
            parts.number(2).text(&adjustment.reason).text(&adjustment.note);
        }
        Some(Kind::PlanChanged(changed)) => {
            parts.number(3).text(&changed.plan).number(changed.effective_at_ms);
        }
        Some(Kind::Usage(_)) | None => {}
    }
    if !matches!(entry.kind, Some(Kind::PlanChanged(_))) {
        parts.number(entry.occurred_at_ms);
    }
    parts.digest()
}

/// The same of the command itself.
fn content_of(parts: &mut Parts, command: &Command, posted_at_ms: i64) -> u64 {
    parts.clear().text(&command.idempotency_key);
    parts.number(digest::of_bytes(&command.body_hash).cast_signed()).text(&command.actor);
    match &command.body {
        Some(Body::OpenAccount(open)) => {
            parts.number(0).number(1).text(&open.name).text(&open.plan).text(&open.currency).text(&open.time_zone);
            parts.number(open.occurred_at_ms.unwrap_or(posted_at_ms));
        }
        Some(Body::PostAdjustment(adjustment)) => {
            parts.number(adjustment.amount_micros).number(2).text(&adjustment.reason).text(&adjustment.note);
            parts.number(adjustment.occurred_at_ms.unwrap_or(posted_at_ms));
        }
        Some(Body::ChangePlan(change)) => {
            parts.number(0).number(3).text(&change.plan);
            parts.number(change.effective_at_ms.unwrap_or(posted_at_ms));
        }
        None => {}
    }
    parts.digest()
}
