//! A dead letter of usage, judged once more.
//!
//! It is the same judgement as a usage record's, on what is known now: the price of the time when the work occurred, the
//! age by the first receipt. That the operation is charged once follows from the operation itself; the idempotency key
//! beside it answers the repetition of the command.

use tollbooth_schemas::{
    dead_letter::Reason,
    v1::{RedriveLetter, Rejected},
};

use super::Context;
use crate::{
    decision::rejected,
    digest,
    place::Draft,
    state::View,
    usage::{Report, Verdict, judge},
};

pub(super) fn redrive(context: &Context<'_, impl View>, letter: &RedriveLetter) -> Result<Draft, Rejected> {
    let event = letter.event().map_err(|error| {
        let reason = if error.out_of_range { Reason::OutOfRange } else { Reason::Malformed };
        refused(reason, error.to_string())
    })?;
    if *event.account_id != *context.account_id {
        return Err(refused(Reason::WrongPartition, format!("it is about {}", &*event.account_id)));
    }
    // A charge of the same work lies at most the future limit before the occurrence, so that it is still known then.
    if event.occurred_at_ms < context.now_ms.saturating_sub(context.limits.redrive_max_ms) {
        let detail = "occurred so long ago that its operation may have been charged and forgotten: post an adjustment";
        return Err(refused(Reason::TooOld, detail));
    }
    let operation = digest::of_operation(context.account_id, &event.operation_id, event.attempt);
    let received_at_ms = letter.received_at_ms;
    let report = Report { event, operation, received_at_ms, letter: letter.source.clone() };
    match judge(context.view, context.books, context.limits, context.account, report, context.now_ms) {
        Verdict::Post(draft) => Ok(*draft),
        Verdict::Duplicate => Err(rejected(409, "duplicate", "the operation's report is in the ledger by another way")),
        Verdict::Stale => Err(rejected(409, "stale", "a later attempt of the operation is charged")),
        Verdict::Dead(dead) => Err(refused(dead.reason, dead.detail)),
    }
}

fn refused(reason: Reason, detail: impl Into<String>) -> Rejected {
    rejected(422, reason.code(), detail)
}
