//! Commands against the entries that they made.

use prost::Message as _;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    Money,
    dead_letter::Reason,
    v1::{
        AlertsSet, BudgetRule, Command, Entry, HoldReleaseCause, PurchaseSource, ReversalCause, command::Body,
        entry::Kind, place_hold::Size, recharge_set, set_recharge,
    },
};

use super::{
    audit::{Account, Audit, LogRecord, Posted, Source},
    digest::{self, Parts},
    report::{Checked, Defect, Unchecked},
};

/// Bonuses that an account may have.
const BONUSES_MAX: u64 = 1_000;
/// Events that an account may have.
const EVENTS_MAX: usize = 10_000;

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
        if dead.is_none()
            && let Ok(command) = &command
            && let Some(Body::RedriveLetter(letter)) = &command.body
        {
            self.check_redrive(record, command, letter, posted);
            return;
        }
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
            command.account_id == *at.id && content_of(&mut self.parts, command, at, posted) == posted.facts
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
            Some(body) => {
                was_open && always_posts(body, account.filter(|account| account.balance.unsigned_abs() < 1 << 58))
            }
            None => false,
        }
    }
}

/// Whether a command of an open account cannot be refused: the others depend on the moment. `account`: as it stands,
/// unless its balance is near its bound.
fn always_posts(body: &Body, account: Option<&Account>) -> bool {
    let small = |micros: i64| (1..Money::MAX.micros() / 2).contains(&micros);
    match body {
        Body::PostPurchase(purchase) => {
            let named = !purchase.payment_id.is_empty() && purchase.source() != PurchaseSource::Unspecified;
            account.is_some() && named && small(purchase.amount_micros)
        }
        Body::GrantBonus(grant) => {
            let few = account.is_some_and(|account| account.purse.grants < BONUSES_MAX);
            few && grant.expires_at_ms.is_none() && small(grant.amount_micros)
        }
        Body::SetCreditLimit(set) => (0..=Money::MAX.micros()).contains(&set.credit_limit_micros),
        Body::DefineEvent(define) => {
            let few = account.is_some_and(|account| account.purse.events() < EVENTS_MAX);
            let budget = define.budget_micros.is_none_or(|micros| (0..=Money::MAX.micros()).contains(&micros));
            few && budget && !define.event_id.is_empty() && define.starts_at_ms < define.ends_at_ms
        }
        Body::SetBooth(set) => !set.paused && !set.booth_id.is_empty(),
        Body::SetRecharge(set) => {
            let bounds = [set.daily_cap_micros, set.monthly_cap_micros, set.amount_max_micros];
            set.threshold_micros == 0
                && matches!(set.size, Some(set_recharge::Size::AmountMicros(micros)) if small(micros))
                && !set.enabled
                && bounds == [None; 3]
        }
        Body::SetProfile(set) => {
            let is_known = |zone: &String| tollbooth_schemas::zone::parse_zone(zone).is_ok();
            let is_something = set.name.is_some() || set.time_zone.is_some();
            is_something && set.name.iter().all(|name| !name.trim().is_empty()) && set.time_zone.iter().all(is_known)
        }
        Body::SetAlerts(set) => set.alerts.as_ref().is_none_or(|rules| *rules == AlertsSet::default()),
        _ => false,
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
        Some(kind) => rare_content(parts, kind),
        None => {}
    }
    if !matches!(entry.kind, Some(Kind::PlanChanged(_))) {
        parts.number(entry.occurred_at_ms);
    }
    parts.digest()
}

/// What the meter worked out (amounts by price, what was left of a charge) is checked elsewhere and left out.
fn rare_content(parts: &mut Parts, kind: &Kind) {
    match kind {
        Kind::HoldPlaced(of) => {
            let named = if of.quantity_micros == 0 { of.amount_micros } else { 0 };
            parts.number(4).text(&of.hold_id).text(&of.service).text(&of.engine).text(&of.variant).text(&of.country);
            parts.text(&of.unit).number(of.quantity_micros).number(named).number(of.expires_at_ms);
            parts.text(&of.event_id).text(&of.booth_id);
        }
        Kind::HoldReleased(of) => {
            parts.number(5).text(&of.hold_id).number(of.cause.into());
        }
        Kind::CreditLimitSet(of) => {
            parts.number(6).number(of.credit_limit_micros);
        }
        Kind::Reversal(of) => {
            parts
                .number(7)
                .number(of.original_seq.cast_signed())
                .text(&of.reason)
                .text(&of.note)
                .number(of.cause.into());
            parts.text(&of.operation_id).number(of.attempt.into()).text(&of.service).text(&of.engine).text(&of.variant);
            parts.text(&of.country).text(&of.unit).text(&of.event_id).text(&of.booth_id).text(&of.plan);
            parts.number(of.price_version.into()).number(of.test_mode.into());
        }
        Kind::BonusGranted(of) => {
            parts.number(8).maybe(of.expires_at_ms).text(&of.reason).text(&of.note);
        }
        Kind::Purchase(of) => {
            parts.number(9).text(&of.payment_id).text(&of.provider).number(of.source.into());
        }
        Kind::PlanFee(of) => {
            parts.number(10).text(&of.period);
        }
        Kind::EventDefined(of) => {
            parts.number(11).text(&of.event_id).text(&of.name).number(of.starts_at_ms).number(of.ends_at_ms);
            parts.text(&of.time_zone).maybe(of.budget_micros).number(of.on_exceeded.into());
        }
        Kind::BoothSet(of) => {
            parts.number(12).text(&of.booth_id).text(&of.name).number(of.paused.into());
        }
        Kind::RechargeSet(of) => {
            let [amount, target] = match of.size {
                Some(recharge_set::Size::AmountMicros(micros)) => [Some(micros), None],
                Some(recharge_set::Size::TargetMicros(micros)) => [None, Some(micros)],
                None => [None, None],
            };
            parts.number(13).number(of.enabled.into()).number(of.threshold_micros).maybe(amount).maybe(target);
            parts.maybe(of.daily_cap_micros).maybe(of.monthly_cap_micros).maybe(of.amount_max_micros);
        }
        Kind::RechargeFailed(of) => {
            parts.number(14).text(&of.recharge_id).text(&of.reason);
        }
        Kind::AlertsSet(of) => rules_content(parts, of),
        Kind::AlertRaised(of) => {
            parts.number(of.number.cast_signed());
        }
        Kind::RechargeRequested(of) => {
            parts.text(&of.recharge_id);
        }
        Kind::ProfileSet(of) => {
            parts.number(17).text(&of.name).text(&of.time_zone);
        }
        Kind::BonusExpired(of) => {
            parts.number(of.granted_seq.cast_signed());
        }
        Kind::Repriced(of) => {
            let work = of.charge.as_deref().cloned().unwrap_or_default();
            parts.number(16).text(&of.repricing_id).number(of.replaced_seq.cast_signed()).number(of.undo.into());
            parts.text(&work.operation_id).number(work.attempt.into()).text(&work.service).text(&work.engine);
            parts.text(&work.variant).text(&work.country).text(&work.unit).text(&work.event_id).text(&work.booth_id);
            parts.text(&work.plan).number(work.quantity_micros).number(work.price_version.into());
            parts.number(work.test_mode.into());
        }
        Kind::AccountOpened(_) | Kind::Adjustment(_) | Kind::PlanChanged(_) | Kind::Usage(_) => {}
    }
}

fn rules_content(parts: &mut Parts, of: &AlertsSet) {
    parts.number(15).number(of.recharge_failed.into()).maybe(of.empty_in_hours.map(i64::from));
    let spike = of.booth_spike.as_ref();
    parts.maybe(spike.map(|spike| i64::from(spike.times))).maybe(spike.map(|spike| spike.at_least_micros));
    for percents in [&of.below_top_up_percents, &of.event_budget_percents] {
        parts.number(i64::try_from(percents.len()).unwrap_or(i64::MAX));
        for percent in percents {
            parts.number((*percent).into());
        }
    }
    for amount in &of.balance_below_micros {
        parts.number(*amount);
    }
}

/// The same of the command itself.
fn content_of(parts: &mut Parts, command: &Command, account: &Account, posted: &Posted) -> u64 {
    let posted_at_ms = posted.posted_at_ms;
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
        Some(Body::SetProfile(of)) => {
            // What is not given stays as it was.
            let (name, time_zone) = account.profile_before(posted.seq);
            parts.number(0).number(17).text(of.name.as_deref().unwrap_or(name));
            parts.text(of.time_zone.as_deref().unwrap_or(time_zone)).number(posted_at_ms);
        }
        Some(body) => rare_content_of(parts, body, posted),
        None => {}
    }
    parts.digest()
}

fn rare_content_of(parts: &mut Parts, body: &Body, posted: &Posted) {
    let occurred_at_ms = posted.posted_at_ms;
    match body {
        Body::PlaceHold(of) => {
            let (quantity, named) = match of.size {
                Some(Size::QuantityMicros(micros)) => (micros, 0),
                Some(Size::AmountMicros(micros)) => (0, micros),
                None => (0, 0),
            };
            parts.number(0).number(4).text(&of.hold_id).text(&of.service).text(&of.engine).text(&of.variant);
            parts.text(&of.country).text(&of.unit).number(quantity).number(named);
            parts.number(posted.posted_at_ms.saturating_add(of.timeout_ms)).text(&of.event_id).text(&of.booth_id);
        }
        Body::VoidHold(of) => {
            parts.number(0).number(5).text(&of.hold_id).number(i32::from(HoldReleaseCause::Voided).into());
        }
        Body::SetCreditLimit(of) => {
            parts.number(0).number(6).number(of.credit_limit_micros);
        }
        Body::Refund(of) => {
            let charge = of.original.clone().unwrap_or_default();
            parts.number(of.amount_micros.unwrap_or(posted.amount)).number(7).number(of.seq.cast_signed());
            parts.text(&of.reason).text(&of.note).number(i32::from(ReversalCause::Refund).into());
            parts.text(&charge.operation_id).number(charge.attempt.into()).text(&charge.service).text(&charge.engine);
            parts.text(&charge.variant).text(&charge.country).text(&charge.unit).text(&charge.event_id);
            parts.text(&charge.booth_id).text(&charge.plan).number(charge.price_version.into());
            parts.number(charge.test_mode.into()).number(charge.occurred_at_ms);
            return;
        }
        Body::Reprice(of) => {
            let work = of.original.clone().unwrap_or_default();
            parts.number(of.amount_micros.saturating_neg());
            parts.number(16).text(&of.repricing_id).number(of.seq.cast_signed()).number(of.undo.into());
            parts.text(&work.operation_id).number(work.attempt.into()).text(&work.service).text(&work.engine);
            parts.text(&work.variant).text(&work.country).text(&work.unit).text(&work.event_id).text(&work.booth_id);
            parts.text(&work.plan).number(work.quantity_micros).number(of.price_version.into());
            parts.number(work.test_mode.into()).number(work.occurred_at_ms);
            return;
        }
        Body::GrantBonus(of) => {
            parts.number(of.amount_micros).number(8).maybe(of.expires_at_ms).text(&of.reason).text(&of.note);
        }
        Body::PostPurchase(of) => {
            parts.number(of.amount_micros).number(9).text(&of.payment_id).text(&of.provider).number(of.source.into());
        }
        Body::PostPlanFee(of) => {
            parts.number(posted.amount).number(10).text(&of.period);
        }
        Body::DefineEvent(of) => {
            let refuses = of.on_exceeded() == BudgetRule::RefuseHolds;
            let rule = if refuses { BudgetRule::RefuseHolds } else { BudgetRule::Warn };
            parts.number(0).number(11).text(&of.event_id).text(&of.name).number(of.starts_at_ms).number(of.ends_at_ms);
            parts.text(&of.time_zone).maybe(of.budget_micros).number(i32::from(rule).into());
        }
        Body::SetBooth(of) => {
            parts.number(0).number(12).text(&of.booth_id).text(&of.name).number(of.paused.into());
        }
        Body::SetRecharge(of) => {
            let [amount, target] = match of.size {
                Some(set_recharge::Size::AmountMicros(micros)) => [Some(micros), None],
                Some(set_recharge::Size::TargetMicros(micros)) => [None, Some(micros)],
                None => [None, None],
            };
            parts.number(0).number(13).number(of.enabled.into()).number(of.threshold_micros).maybe(amount);
            parts.maybe(target).maybe(of.daily_cap_micros).maybe(of.monthly_cap_micros).maybe(of.amount_max_micros);
        }
        Body::FailRecharge(of) => {
            parts.number(0).number(14).text(&of.recharge_id).text(&of.reason);
        }
        Body::SetAlerts(of) => {
            parts.number(0);
            rules_content(parts, &of.alerts.clone().unwrap_or_default());
        }
        Body::OpenAccount(_)
        | Body::PostAdjustment(_)
        | Body::ChangePlan(_)
        | Body::SetProfile(_)
        | Body::PreparePurchase(_)
        // Held against its letter instead.
        | Body::RedriveLetter(_) => {}
    }
    parts.number(occurred_at_ms);
}
