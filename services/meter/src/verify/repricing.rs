//! Charges that are made anew: both entries together, and the new price by the book that it names.

use tollbooth_schemas::{
    ids::entry_id,
    v1::{Entry, LedgerRecord, Repriced, entry::Kind},
};

use super::{
    audit::Audit,
    counts::Place,
    fold::charge_of,
    kinds::{charge_digest, reversal_digest},
    price::Work,
    report::{Checked, Defect},
};

/// A charge that was given back and is to be charged anew, by its reversal.
#[derive(Debug)]
pub(super) struct GivenBackFirst {
    seq: u64,
    original_seq: u64,
    price_version: u32,
    /// Of what is given back.
    charge: u64,
    undo: bool,
    source_offset: i64,
    note: Box<str>,
    idempotency_key: Box<str>,
}

impl Audit {
    /// The two entries stand next to each other, and are of one command.
    pub(super) fn check_pair(&mut self, account: u32, entry: &Entry, kind: &Kind) {
        let key = entry.command.as_ref().map(|command| command.idempotency_key.as_str()).unwrap_or_default();
        let first = match kind {
            Kind::Reversal(reversal) if entry.is_first_of_two() => Some(Box::new(GivenBackFirst {
                seq: entry.seq,
                original_seq: reversal.original_seq,
                price_version: reversal.price_version,
                charge: reversal_digest(&mut self.parts, reversal, entry.occurred_at_ms),
                undo: reversal.reason == "repricing_undone",
                source_offset: entry.source_offset,
                note: reversal.note.as_str().into(),
                idempotency_key: key.into(),
            })),
            _ => None,
        };
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let is_second = matches!(kind, Kind::Repriced(_));
        let before = if is_second { None } else { at.given_back.take() };
        if let Some(before) = before {
            let id = &at.id;
            self.report.defect(Defect::RepricingOff, || format!("{id} seq {}: given back, not made anew", before.seq));
        }
        if first.is_some() {
            at.given_back = first;
        }
    }

    pub(super) fn check_repriced(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, repriced: &Repriced) {
        self.report.checked(Checked::Repriced, 1);
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let name = || entry_id(&record.account_id, entry.seq);
        let Some((first, charge)) = at.given_back.take().zip(repriced.charge.as_deref()) else {
            self.report.defect(Defect::RepricingOff, || format!("{}: made anew, nothing was given back", name()));
            return;
        };
        let key = entry.command.as_ref().map(|command| command.idempotency_key.as_str()).unwrap_or_default();
        // The same work, whatever its price.
        let as_it_was = tollbooth_schemas::v1::Usage { price_version: first.price_version, ..charge.clone() };
        let digest = charge_digest(&mut self.parts, &as_it_was, entry.occurred_at_ms);
        let is_same = first.charge == digest && first.original_seq == repriced.replaced_seq;
        let is_one = first.source_offset == entry.source_offset && *first.idempotency_key == *key;
        let is_named = *first.note == *repriced.repricing_id && first.undo == repriced.undo;
        if first.seq.checked_add(1) != Some(entry.seq) || !is_same || !is_one || !is_named {
            self.report.defect(Defect::RepricingOff, || {
                format!("{}: is not what seq {} gave back of seq {}", name(), first.seq, first.original_seq)
            });
        }
        if !at.replaced.insert(first.original_seq) {
            self.report
                .defect(Defect::RepricingOff, || format!("{}: seq {} is made anew twice", name(), first.original_seq));
        }
        let counted = charge.pricing.as_ref().and_then(|pricing| pricing.counted.as_ref());
        let dimensions = [&charge.service, &charge.engine, &charge.unit].map(String::as_str);
        let stands = at.counts.stands(first.original_seq, dimensions, counted);
        if stands.map_or(counted.is_some(), |(_, same)| !same) {
            self.report.defect(Defect::RepricingOff, || format!("{}: counted elsewhere than before", name()));
        }
        let mut history = at.history(record.posted_at_ms, self.options.retention_ms);
        let period = counted.map_or("", |counted| &counted.period);
        history.instead = stands.map(|(before_micros, _)| Place { period, before_micros });
        let work = Work {
            service: &charge.service,
            engine: &charge.engine,
            variant: &charge.variant,
            country: &charge.country,
            unit: &charge.unit,
            plan: &charge.plan,
            currency: at.currency(),
            quantity_micros: charge.quantity_micros,
            occurred_at_ms: entry.occurred_at_ms,
            is_test: charge.test_mode,
            history: Some(history),
        };
        let (posted, expected) = (charge_of(entry, charge), self.books.charge_by(charge.price_version, &work));
        if expected.as_ref().ok() == posted.as_ref() {
            return;
        }
        self.report.defect(Defect::WrongPrice, || format!("{}: {posted:?} made anew, expected {expected:?}", name()));
        let expected = expected.map_or(0, |charge| charge.micros);
        at.drift += (i128::from(entry.amount_micros) + i128::from(expected)).abs();
    }

    /// Nothing that was given back is left.
    pub(super) fn finish_repricings(&mut self) {
        for account in &self.accounts {
            if let Some(left) = &account.given_back {
                let id = &account.id;
                self.report
                    .defect(Defect::RepricingOff, || format!("{id} seq {}: given back, not made anew", left.seq));
            }
        }
    }
}
