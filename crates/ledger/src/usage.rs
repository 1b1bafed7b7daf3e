//! An operation's life: unseen, failed, charged. Charged is final.
//!
//! | report | unseen | failed | charged |
//! |---|---|---|---|
//! | success | charge | charge | same content: duplicate; other content: dead letter `conflict` |
//! | failed, attempt not listed | 0.00 entry | 0.00 entry | lower attempt: stale; else dead letter `failed_after_charge` |
//! | failed, attempt listed | - | duplicate | as above |
//!
//! What posts ends the hold it names: a charge captures it, a failure releases it. What does not post leaves it.

use tollbooth_schemas::{
    Money,
    dead_letter::Reason,
    usage::{Mode, Status, UsageEvent},
    v1::{LetterSource, SourceTopic, Usage, UsageStatus, entry::Kind},
};

use crate::{
    account::Account,
    counters,
    decision::{Dead, UsageDecision, UsageInput},
    digest::{self, Digest},
    holds,
    place::{Draft, place},
    planted::{Defect, planted},
    pricing::{NoPrice, PriceBooks, Quote},
    state::{Limits, Operation, View, week_of},
};

pub(crate) fn apply(
    view: &impl View,
    books: &PriceBooks,
    limits: &Limits,
    input: UsageInput<'_>,
    now_ms: i64,
) -> UsageDecision {
    let UsageInput { event, offset, received_at_ms, operation } = input;
    let account_id = event.account_id.clone();
    let Some(account) = view.account(&account_id) else {
        return dead(Reason::UnknownAccount, format!("{} was never opened", &*account_id));
    };
    let report = Report { event, operation, received_at_ms, letter: None };
    match judge(view, books, limits, account, report, now_ms) {
        Verdict::Post(draft) => match place(Some(account), *draft, SourceTopic::Usage, offset) {
            Some(entry) => UsageDecision::Post(Box::new(entry)),
            None => UsageDecision::Dead(out_of_range()),
        },
        Verdict::Duplicate => UsageDecision::Duplicate,
        Verdict::Stale => UsageDecision::Stale,
        Verdict::Dead(dead) => UsageDecision::Dead(dead),
    }
}

/// A usage event, however it came here.
pub(crate) struct Report<'a> {
    pub(crate) event: UsageEvent<'a>,
    pub(crate) operation: Digest,
    /// The first time.
    pub(crate) received_at_ms: i64,
    /// The dead letter that it was.
    pub(crate) letter: Option<LetterSource>,
}

/// What a report is, before it has a place in the ledger.
pub(crate) enum Verdict {
    Post(Box<Draft>),
    Duplicate,
    Stale,
    Dead(Dead),
}

/// The same for a record of `usage` and for a letter that is driven again: only where it came from differs.
pub(crate) fn judge(
    view: &impl View,
    books: &PriceBooks,
    limits: &Limits,
    account: &Account,
    report: Report<'_>,
    now_ms: i64,
) -> Verdict {
    let Report { event, operation, received_at_ms, letter } = report;
    let account_id = event.account_id.clone();
    let occurred_at_ms = event.occurred_at_ms;
    let usage = Usage { letter: letter.map(Box::new), ..usage_of(event, account, received_at_ms) };
    if let Some(operation) = known(view, &operation, now_ms, occurred_at_ms)
        && let Some(verdict) = repeated(&operation, &usage)
    {
        return verdict;
    }
    if occurred_at_ms < received_at_ms.saturating_sub(limits.age_max_ms) {
        return refused(Reason::TooOld, "occurred longer before its receipt than the age limit".to_owned());
    }
    if occurred_at_ms > received_at_ms.saturating_add(limits.future_max_ms) {
        return refused(Reason::InFuture, "occurred after its receipt: the booth's clock is wrong".to_owned());
    }
    let (mut usage, amount) = match priced(view, account, &account_id, books, usage, (occurred_at_ms, now_ms)) {
        Ok(priced) => priced,
        Err(dead) => return Verdict::Dead(dead),
    };
    let effect = holds::effect(view, &account_id, &usage, now_ms);
    usage.hold_outcome = effect.outcome.into();
    let draft = Draft::of(occurred_at_ms, Kind::Usage(usage)).amount(amount.negated()).held(effect.released.negated());
    Verdict::Post(Box::new(draft))
}

fn dead(reason: Reason, detail: String) -> UsageDecision {
    UsageDecision::Dead(Dead { reason, detail })
}

fn refused(reason: Reason, detail: String) -> Verdict {
    Verdict::Dead(Dead { reason, detail })
}

/// The operation, unless its posting week is beyond the retention.
fn known(view: &impl View, operation: &Digest, now_ms: i64, occurred_at_ms: i64) -> Option<Operation> {
    if planted(Defect::DedupeByTime) && occurred_at_ms < now_ms.saturating_sub(2_000) {
        return None;
    }
    let operation = view.operation(operation)?;
    (operation.week >= view.first_kept(week_of(now_ms))).then_some(operation)
}

/// What a report about a known operation is; `None`: it posts.
fn repeated(operation: &Operation, usage: &Usage) -> Option<Verdict> {
    match (operation.charged, usage.status()) {
        (true, UsageStatus::Success) if digest::same_content(operation.memo, &usage.into()) => Some(Verdict::Duplicate),
        (true, UsageStatus::Success) => {
            Some(refused(Reason::Conflict, format!("seq {} charged this operation with other content", operation.seq)))
        }
        (true, _) if usage.attempt < operation.attempt => Some(Verdict::Stale),
        (true, _) => Some(refused(
            Reason::FailedAfterCharge,
            format!("seq {} charged this operation; refund it if it did fail", operation.seq),
        )),
        (false, UsageStatus::Success) => None,
        (false, _) if operation.lists_failure(usage.attempt) => Some(Verdict::Duplicate),
        (false, _) => None,
    }
}

fn usage_of(event: UsageEvent<'_>, account: &Account, received_at_ms: i64) -> Usage {
    let plan = account.plan_at(event.occurred_at_ms).to_owned();
    let owned = |text: tollbooth_schemas::usage::Text<'_>| text.0.into_owned();
    let status = match event.status {
        Status::Success => UsageStatus::Success,
        Status::Failed => UsageStatus::Failed,
    };
    Usage {
        status: status.into(),
        operation_id: owned(event.operation_id),
        attempt: event.attempt,
        service: owned(event.service),
        engine: owned(event.engine),
        variant: owned(event.variant),
        country: owned(event.country),
        unit: owned(event.unit),
        quantity_micros: event.quantity.micros(),
        event_id: event.event_id.map(owned).unwrap_or_default(),
        booth_id: event.booth_id.map(owned).unwrap_or_default(),
        plan,
        price_version: 0,
        price_model: 0,
        unit_price_micros: 0,
        provider_cost_micros: event.provider_cost.map(Money::micros),
        error_code: owned(event.error_code),
        hold_id: event.hold_id.map(owned).unwrap_or_default(),
        received_at_ms,
        captured_at_ms: event.captured_at_ms,
        test_mode: event.mode == Mode::Test,
        hold_outcome: 0,
        pricing: None,
        letter: None,
    }
}

/// The usage with its price, and what it costs; failed work costs nothing and is not priced.
fn priced(
    view: &impl View,
    account: &Account,
    account_id: &str,
    books: &PriceBooks,
    mut usage: Usage,
    (occurred_at_ms, now_ms): (i64, i64),
) -> Result<(Usage, Money), Dead> {
    if usage.status() == UsageStatus::Failed {
        return Ok((usage, Money::ZERO));
    }
    let rate = books.rate(&Quote {
        service: &usage.service,
        engine: &usage.engine,
        variant: &usage.variant,
        country: &usage.country,
        unit: &usage.unit,
        plan: &usage.plan,
        currency: account.currency(),
        at_ms: occurred_at_ms,
        test_mode: usage.test_mode,
    });
    let rate = rate.map_err(|why| no_price(why, &usage))?;
    let quantity = tollbooth_schemas::Quantity::from_micros(usage.quantity_micros).ok_or_else(out_of_range)?;
    let Usage { service, engine, unit, .. } = &usage;
    let work = counters::Work { account_id, service, engine, unit };
    let charge = counters::charge(view, account, &rate, (work, quantity), (occurred_at_ms, now_ms));
    let charge = charge.ok_or_else(out_of_range)?;
    usage.price_version = rate.version;
    usage.price_model = rate.model.into();
    usage.unit_price_micros = charge.unit_price.micros();
    usage.pricing = charge.pricing;
    Ok((usage, charge.amount))
}

fn no_price(why: NoPrice, usage: &Usage) -> Dead {
    let Usage { service, engine, unit, plan, .. } = usage;
    match why {
        NoPrice::NoPrice => {
            Dead { reason: Reason::NoPrice, detail: format!("no price for {service} ({engine}) on plan {plan:?}") }
        }
        NoPrice::EngineRetired => {
            Dead { reason: Reason::EngineRetired, detail: format!("the price of {service} ({engine}) had ended") }
        }
        NoPrice::UnitMismatch => {
            Dead { reason: Reason::UnitMismatch, detail: format!("{service} ({engine}) is not priced per {unit}") }
        }
    }
}

fn out_of_range() -> Dead {
    Dead { reason: Reason::OutOfRange, detail: "the charge or the balance after it is beyond 10^12".to_owned() }
}
