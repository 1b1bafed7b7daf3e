//! Plan fees: each month once, in order, none left out, by the plan and the price book of its begin.

use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    Money,
    ids::entry_id,
    v1::{Entry, LedgerRecord, PlanFee, SourceTopic},
};

use super::{
    audit::{Audit, Opened},
    calendar::{self, Month},
    report::{Checked, Defect},
};

/// How much later than its month's begin a fee may be posted while the meter goes on posting: price books are read to
/// their end first.
const LATE_MS_MAX: i64 = 600_000;

/// The month behind that of the opening, where the account was then.
fn first_month(opened: &Opened) -> Month {
    calendar::month(calendar::zone(&opened.time_zone), opened.posted_at_ms).next()
}

impl Audit {
    /// The amount, the version and the plan.
    pub(super) fn check_fee(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, fee: &PlanFee) {
        self.check_month(account, record, entry, fee);
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        self.report.checked(Checked::Repriced, 1);
        let by_itself = entry.source_topic() == SourceTopic::Tick;
        let at_ms = if by_itself { entry.occurred_at_ms } else { record.posted_at_ms };
        let plan = at.plan_at(at_ms, entry.seq);
        let found = (fee.price_version, entry.amount_micros.saturating_neg());
        let before = i128::from(entry.balance_after_micros) - i128::from(entry.amount_micros);
        let is_right = |(version, micros): (u32, i64)| {
            let in_bound = before - i128::from(micros) >= -i128::from(Money::MAX.micros());
            // By itself a month is settled in any case; a command is refused where there is nothing to take.
            let micros = if by_itself && !in_bound { 0 } else { micros };
            found == (version, micros) && (by_itself || micros > 0)
        };
        if plan == fee.plan && self.books.fees(plan, at.currency(), at_ms, record.posted_at_ms).any(is_right) {
            return;
        }
        let name = entry_id(&record.account_id, entry.seq);
        self.report.defect(Defect::WrongPrice, || {
            format!("{name}: {found:?} is not the fee of the plan {plan:?} at that time")
        });
    }

    fn check_month(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, fee: &PlanFee) {
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let Some(opened) = &at.opened else { return };
        let name = || entry_id(&record.account_id, entry.seq);
        let next = at.fee_next.unwrap_or_else(|| first_month(opened));
        let zone = at.zone();
        let Some(month) = Month::parse(&fee.period) else {
            self.report.defect(Defect::FeeOff, || format!("{}: {:?} is no month", name(), fee.period));
            return;
        };
        at.fee_next = Some(next.max(month.next()));
        let begins = calendar::begins(zone, entry.occurred_at_ms) == Some(month);
        let in_time = begins && record.posted_at_ms >= entry.occurred_at_ms;
        if entry.source_topic() == SourceTopic::Tick && !(month == next && in_time) {
            self.report.defect(Defect::FeeOff, || {
                format!("{}: {month:?} at {}, expected {next:?} at its begin", name(), entry.occurred_at_ms)
            });
        }
    }

    /// No month that has begun is left out.
    pub(super) fn finish_fees(&mut self) {
        let partitions = self.options.partitions;
        for account in &self.accounts {
            let Some(opened) = &account.opened else { continue };
            let home = partition_for(account.id.as_bytes(), partitions);
            let newest = home.and_then(|home| self.posted_at_ms.get(&home)).copied().unwrap_or_default();
            let settled_ms = newest.saturating_sub(LATE_MS_MAX).saturating_sub(self.options.price_book_stale_ms);
            let next = account.fee_next.unwrap_or_else(|| first_month(opened));
            // In a zone that was set since, it may have begun long ago and be due only now, or be due no more.
            let zones = [account.zone_at(settled_ms), account.zone()];
            if zones.into_iter().all(|zone| next <= calendar::month(zone, settled_ms)) {
                self.report.defect(Defect::FeeOff, || format!("{}: {next:?} has begun, without a fee", account.id));
            }
        }
    }
}
