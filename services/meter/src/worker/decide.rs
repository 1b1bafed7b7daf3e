//! Deciding a batch on an overlay: no I/O, so that an aborted batch is decided again from the same records.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tollbooth_chassis::kafka::batch::Record;
use tollbooth_ledger::{
    CommandDecision, CommandInput, Dead, Delta, Digest, FoldError, Limits, Overlay, PriceBooks, State, UsageDecision,
    UsageInput, apply_command, apply_usage,
};
use tollbooth_schemas::{
    dead_letter::Reason,
    v1::{Entry, Reply, SourceTopic},
};

use super::{decode, records::Records};
use crate::metrics::{BatchCounts, Outcome};

/// What holds for every record of a batch.
pub(super) struct Rules<'a> {
    pub(super) books: PriceBooks,
    pub(super) limits: &'a Limits,
    pub(super) partitions: i32,
    pub(super) input_generation: u32,
    /// Posting time of the batch.
    pub(super) now_ms: i64,
}

/// A record that needs a person.
pub(super) struct DeadLetter<'b> {
    pub(super) record: Record<'b>,
    pub(super) dead: Dead,
    pub(super) step: &'static str,
}

/// What a batch writes and changes.
#[derive(Default)]
pub(super) struct Output<'b> {
    /// What goes to the ledger.
    pub(super) records: Records,
    /// With the instance that waits.
    pub(super) replies: Vec<(String, Reply)>,
    pub(super) dead: Vec<DeadLetter<'b>>,
    pub(super) counts: BatchCounts,
    /// When each posted usage record was received.
    pub(super) received_at_ms: Vec<i64>,
}

impl Output<'_> {
    /// What was refused that a look-up could turn round.
    pub(super) fn refusals(&self) -> Refusals {
        let mut refusals = Refusals::default();
        for letter in &self.dead {
            match letter.dead.reason {
                Reason::UnknownAccount => refusals.unknown_account = true,
                Reason::NoPrice | Reason::EngineRetired | Reason::UnitMismatch => refusals.no_price = true,
                _ => {}
            }
        }
        refusals
    }

    fn push(&mut self, account_id: &str, entry: Entry) {
        if let Some(entry_type) = entry.entry_type() {
            self.counts.post(entry_type, entry.is_failed());
        }
        self.records.push(account_id, entry);
    }
}

/// What could turn a refusal round: a record that was appended before it and not taken yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusals {
    /// A command may open the account.
    pub(super) unknown_account: bool,
    /// A price book may name the price.
    pub(super) no_price: bool,
}

/// Decides records one after the other.
pub(super) struct Decider<'a, 'b> {
    rules: Rules<'a>,
    state: &'a State,
    overlay: Overlay<'a>,
    output: Output<'b>,
}

impl<'a, 'b> Decider<'a, 'b> {
    pub(super) fn new(state: &'a State, rules: Rules<'a>) -> Self {
        let overlay = Overlay::new(state);
        Self { rules, state, overlay, output: Output::default() }
    }

    pub(super) fn finish(self) -> (Delta, Output<'b>) {
        (self.overlay.into_delta(), self.output)
    }

    /// Commands, in order.
    pub(super) fn commands(&mut self, records: impl Iterator<Item = Record<'b>>) -> Result<(), FoldError> {
        for record in records {
            if !self.skip(record, SourceTopic::Commands) {
                self.command(record)?;
            }
        }
        Ok(())
    }

    /// Usage, in order.
    pub(super) fn usage(&mut self, records: impl Iterator<Item = Record<'b>>) -> Result<(), FoldError> {
        for record in records {
            if !self.skip(record, SourceTopic::Usage) {
                self.usage_record(record)?;
            }
        }
        Ok(())
    }

    /// At or below what the ledger says was posted: after a reset of the group's offsets nobody is charged twice.
    fn skip(&mut self, record: Record<'b>, topic: SourceTopic) -> bool {
        let folded = self.state.folded_offset(self.rules.input_generation, topic);
        let skip = folded.is_some_and(|folded| record.offset() <= folded);
        self.output.counts.skipped += u64::from(skip);
        skip
    }

    fn command(&mut self, record: Record<'b>) -> Result<(), FoldError> {
        let command = match decode::command(record, self.rules.partitions) {
            Ok(command) => command,
            Err(dead) => {
                self.dead(record, dead, "decode");
                return Ok(());
            }
        };
        let input = CommandInput { command: &command, offset: record.offset() };
        let rules = &self.rules;
        let decided =
            catch_unwind(AssertUnwindSafe(|| apply_command(&self.overlay, &rules.books, input, rules.now_ms)));
        let reply = match decided {
            Ok(CommandDecision::Post(entry, reply)) => {
                self.post(&command.account_id, *entry, None)?;
                reply
            }
            Ok(CommandDecision::Answer(reply)) => reply,
            Err(_) => {
                self.dead(record, internal(), "apply");
                return Ok(());
            }
        };
        if !command.reply_to.is_empty() {
            self.output.replies.push((command.reply_to, reply));
        }
        Ok(())
    }

    fn usage_record(&mut self, record: Record<'b>) -> Result<(), FoldError> {
        let event = match decode::usage(record, self.rules.partitions) {
            Ok(event) => event,
            Err(dead) => {
                self.dead(record, dead, "decode");
                return Ok(());
            }
        };
        let received_at_ms = record.timestamp().map_or(self.rules.now_ms, |timestamp| timestamp.millis);
        let account_id = event.account_id.clone();
        let input = UsageInput::new(event, record.offset(), received_at_ms);
        let operation = input.operation();
        match self.decide(input) {
            UsageDecision::Post(entry) => {
                let outcome = if entry.is_failed() { Outcome::Failed } else { Outcome::Charged };
                self.output.counts.outcome(outcome);
                self.output.received_at_ms.push(received_at_ms);
                self.post(&account_id, *entry, Some(operation))?;
            }
            UsageDecision::Duplicate => self.output.counts.outcome(Outcome::Duplicate),
            UsageDecision::Stale => self.output.counts.outcome(Outcome::Stale),
            UsageDecision::Dead(dead) => self.dead(record, dead, "apply"),
        }
        Ok(())
    }

    fn decide(&self, input: UsageInput<'_>) -> UsageDecision {
        let rules = &self.rules;
        let decide = || apply_usage(&self.overlay, &rules.books, rules.limits, input, rules.now_ms);
        catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| UsageDecision::Dead(internal()))
    }

    fn post(&mut self, account_id: &str, entry: Entry, operation: Option<Digest>) -> Result<(), FoldError> {
        self.overlay.post(self.rules.input_generation, account_id, self.rules.now_ms, &entry, operation)?;
        self.output.push(account_id, entry);
        Ok(())
    }

    fn dead(&mut self, record: Record<'b>, dead: Dead, step: &'static str) {
        self.output.counts.dead(dead.reason);
        self.output.dead.push(DeadLetter { record, dead, step });
    }
}

fn internal() -> Dead {
    Dead { reason: Reason::Internal, detail: "the core failed on this record; it is kept".to_owned() }
}
