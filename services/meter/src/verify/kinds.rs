//! The kinds of entry beside usage and what opens or changes an account: against prices, charges and what was held.

use tollbooth_schemas::v1::{Entry, HoldPlaced, LedgerRecord, Reversal, Usage, entry::Kind};

use super::{
    audit::Audit,
    digest::Parts,
    price::Work,
    purse::{GivenBack, Posting},
    report::{Checked, Defect},
};

/// What a refund says of its charge, the quantity aside; never 0, which stands for "no charge".
pub(super) fn charge_digest(parts: &mut Parts, usage: &Usage, occurred_at_ms: i64) -> u64 {
    parts.clear().text(&usage.operation_id).number(usage.attempt.into());
    parts.text(&usage.service).text(&usage.engine).text(&usage.variant).text(&usage.country).text(&usage.unit);
    parts.text(&usage.event_id).text(&usage.booth_id).text(&usage.plan).number(usage.price_version.into());
    parts.number(usage.test_mode.into()).number(occurred_at_ms).digest().max(1)
}

pub(super) fn reversal_digest(parts: &mut Parts, of: &Reversal, occurred_at_ms: i64) -> u64 {
    parts.clear().text(&of.operation_id).number(of.attempt.into());
    parts.text(&of.service).text(&of.engine).text(&of.variant).text(&of.country).text(&of.unit);
    parts.text(&of.event_id).text(&of.booth_id).text(&of.plan).number(of.price_version.into());
    parts.number(of.test_mode.into()).number(occurred_at_ms).digest().max(1)
}

impl Audit {
    /// `held_after`, bonuses, and what else an account keeps. After a defect the audit goes on from what the entry says.
    pub(super) fn check_purse(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, kind: &Kind) {
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let held_before = at.held;
        let posted_at_ms = record.posted_at_ms;
        let posting = Posting { entry, posted_at_ms, held_before, retention_ms: self.options.retention_ms };
        let mut complaints = Vec::new();
        let moved = at.purse.take_in(posting, kind, &mut complaints);
        at.held = entry.held_after_micros;
        let is = i128::from(at.held);
        if complaints.is_empty() && (i128::from(held_before) + moved != is || is < 0) {
            complaints.push((Defect::HeldOff, format!("{is} held, {held_before} before (millionths)")));
        }
        let name = || tollbooth_schemas::ids::entry_id(&record.account_id, entry.seq);
        if moves_no_money(kind) && entry.amount_micros != 0 {
            self.report.defect(Defect::WrongContent, || format!("{}: moves money", name()));
        }
        for (defect, why) in complaints {
            self.report.defect(defect, || format!("{}: {why}", name()));
        }
        self.check_pair(account, entry, kind);
        if !entry.is_first_of_two() {
            self.check_recharge(account, record, entry, kind);
            self.check_alerts(account, record, entry, kind);
        }
        match kind {
            Kind::HoldPlaced(placed) => self.check_hold_price(account, record, entry, placed),
            Kind::PlanFee(fee) => self.check_fee(account, record, entry, fee),
            Kind::Reversal(reversal) => self.check_reversal(account, record, entry, reversal),
            Kind::Repriced(repriced) => self.check_repriced(account, record, entry, repriced),
            _ => {}
        }
    }

    fn check_hold_price(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, placed: &HoldPlaced) {
        let Some(at) = self.accounts.get(account as usize) else { return };
        let plan = at.plan_at(record.posted_at_ms, entry.seq);
        let work = Work {
            service: &placed.service,
            engine: &placed.engine,
            variant: &placed.variant,
            country: &placed.country,
            unit: &placed.unit,
            plan,
            currency: at.currency(),
            quantity_micros: placed.quantity_micros,
            occurred_at_ms: record.posted_at_ms,
            is_test: false,
            history: Some(at.history(record.posted_at_ms, self.options.retention_ms)),
        };
        let found = (placed.price_version, placed.amount_micros);
        let is_named = placed.quantity_micros == 0 && placed.price_version == 0;
        self.report.checked(Checked::Repriced, u64::from(!is_named));
        let mut outcomes = self.books.outcomes(&work, record.posted_at_ms);
        let is_priced = outcomes.any(|outcome| outcome.is_ok_and(|charge| (charge.version, charge.micros) == found));
        if plan == placed.plan && (is_named || is_priced) {
            return;
        }
        let name = tollbooth_schemas::ids::entry_id(&record.account_id, entry.seq);
        self.report.defect(Defect::WrongPrice, || {
            format!("{name}: {found:?} held on plan {:?}, not by the price on plan {plan:?}", placed.plan)
        });
    }

    fn check_reversal(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, reversal: &Reversal) {
        let digest = reversal_digest(&mut self.parts, reversal, entry.occurred_at_ms);
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let name = || tollbooth_schemas::ids::entry_id(&record.account_id, entry.seq);
        let original = at.index_of(reversal.original_seq).and_then(|index| at.entries.get(index)).copied();
        let Some(original) = original.filter(|original| original.charge == digest) else {
            self.report
                .defect(Defect::RefundOff, || format!("{}: seq {} is no such charge", name(), reversal.original_seq));
            return;
        };
        let charged = original.amount.saturating_neg();
        let given_back = at.purse.give_back(reversal.original_seq, entry.amount_micros, charged);
        let is_whole = given_back == GivenBack::Whole;
        let quantity = if is_whole { original.quantity } else { 0 };
        let is_kept = entry.is_first_of_two();
        let is_counted = at.counts.gives_back(reversal, is_whole && !is_kept);
        // A re-pricing gives all of a charge back, of which nothing was given back before.
        let is_cut = is_kept && (entry.amount_micros != charged || !is_whole);
        if given_back == GivenBack::TooMuch || reversal.quantity_micros != quantity || !is_counted || is_cut {
            at.drift += i128::from(given_back == GivenBack::TooMuch) * i128::from(entry.amount_micros.unsigned_abs());
            self.report.defect(Defect::RefundOff, || {
                let (seq, amount) = (reversal.original_seq, entry.amount_micros);
                format!("{}: {amount} given back of {charged} of seq {seq}: {given_back:?}", name())
            });
        }
    }

    /// An entry that an instant made names no record and no command.
    pub(super) fn check_tick(&mut self, account: u32, index: u32, entry: &Entry) {
        let by_itself = matches!(
            entry.kind,
            Some(
                Kind::HoldReleased(_)
                    | Kind::BonusExpired(_)
                    | Kind::PlanFee(_)
                    | Kind::RechargeRequested(_)
                    | Kind::RechargeFailed(_)
                    | Kind::AlertRaised(_)
            )
        );
        if by_itself && entry.source_offset == 0 && entry.command.is_none() {
            return;
        }
        let name = self.name(account, index);
        self.report.defect(Defect::SourceMissing, || format!("{name} names no source record"));
    }
}

const fn moves_no_money(kind: &Kind) -> bool {
    match kind {
        Kind::AccountOpened(_)
        | Kind::PlanChanged(_)
        | Kind::HoldPlaced(_)
        | Kind::HoldReleased(_)
        | Kind::CreditLimitSet(_)
        | Kind::EventDefined(_)
        | Kind::BoothSet(_)
        | Kind::RechargeSet(_)
        | Kind::RechargeRequested(_)
        | Kind::RechargeFailed(_)
        | Kind::AlertsSet(_)
        | Kind::AlertRaised(_)
        | Kind::ProfileSet(_) => true,
        Kind::Usage(_)
        | Kind::Adjustment(_)
        | Kind::Reversal(_)
        | Kind::Repriced(_)
        | Kind::BonusGranted(_)
        | Kind::BonusExpired(_)
        | Kind::Purchase(_)
        | Kind::PlanFee(_) => false,
    }
}
