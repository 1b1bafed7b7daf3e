//! What a price with tiers or an included quantity counts: an account's quantity by price row and month.
//!
//! Written apart from the meter's own counters. What an entry says of a count is compared with this one; after a defect
//! the audit goes on from what the entry says.

use chrono_tz::Tz;
use hashbrown::HashMap;
use tollbooth_schemas::{
    Quantity,
    price_book::Price,
    v1::{Counted, Entry, Reversal, entry::Kind},
};

use super::{calendar, digest::Parts};

const WEEK_MS: i64 = 7 * 86_400_000;

#[derive(Debug, Clone, Copy)]
struct Count {
    micros: i64,
    changed_at_ms: i64,
}

/// An account's counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_place: HashMap<u64, Count>,
    /// Where a charge was counted and what was before it, by its `seq`; those that were not are not here.
    charges: HashMap<u64, (u64, i64)>,
}

/// What was counted up to an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct History<'a> {
    pub(super) counts: &'a Counts,
    pub(super) zone: Tz,
    pub(super) posted_at_ms: i64,
    pub(super) retention_ms: i64,
    /// Instead of what is counted now: the place of a charge that is made anew.
    pub(super) instead: Option<Place<'a>>,
}

/// A month, and what it had counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) period: &'a str,
    pub(super) before_micros: i64,
}

fn place(parts: &mut Parts, [service, engine, unit]: [&str; 3], counted: &Counted) -> u64 {
    parts.clear().text(service).text(engine).text(unit);
    parts.text(&counted.variant).text(&counted.country).text(&counted.period).digest()
}

impl History<'_> {
    /// Where work of an instant counts under a row, and what was counted there.
    pub(super) fn at(&self, price: &Price, occurred_at_ms: i64) -> Counted {
        let mut counted = Counted {
            period: match self.instead {
                Some(place) => place.period.to_owned(),
                None => format!("{:?}", calendar::month(self.zone, occurred_at_ms)),
            },
            variant: price.variant.clone().unwrap_or_default(),
            country: price.country.clone().unwrap_or_default(),
            before_micros: 0,
        };
        let place = place(&mut Parts::default(), [&price.service, &price.engine, &price.unit], &counted);
        let count = self.counts.by_place.get(&place).filter(|count| self.is_kept(count.changed_at_ms));
        counted.before_micros = match self.instead {
            Some(place) => place.before_micros,
            None => count.map_or(0, |count| count.micros),
        };
        counted
    }

    /// Counts are kept for the retention in whole weeks and the running one.
    fn is_kept(&self, changed_at_ms: i64) -> bool {
        let weeks = self.retention_ms.saturating_add(WEEK_MS - 1) / WEEK_MS + 1;
        self.posted_at_ms / WEEK_MS - changed_at_ms / WEEK_MS <= weeks
    }
}

impl Counts {
    pub(super) fn take_in(&mut self, entry: &Entry, kind: &Kind, posted_at_ms: i64) {
        let mut parts = Parts::default();
        let (place, micros) = match kind {
            Kind::Usage(usage) => {
                let Some(counted) = usage.pricing.as_ref().and_then(|pricing| pricing.counted.as_ref()) else { return };
                let place = place(&mut parts, [&usage.service, &usage.engine, &usage.unit], counted);
                self.charges.insert(entry.seq, (place, counted.before_micros));
                let after = counted.before_micros.saturating_add(usage.quantity_micros);
                (place, after.min(Quantity::MAX.micros()))
            }
            Kind::Reversal(reversal) => {
                let Some(place) = place_of(&mut parts, reversal) else { return };
                let Some(count) = self.by_place.get(&place) else { return };
                (place, count.micros.saturating_sub(reversal.quantity_micros).max(0))
            }
            Kind::Repriced(repriced) => {
                // It stands where the one stood that it replaces.
                if let Some(known) = self.charges.get(&repriced.replaced_seq).copied() {
                    self.charges.insert(entry.seq, known);
                }
                return;
            }
            _ => return,
        };
        self.by_place.insert(place, Count { micros, changed_at_ms: posted_at_ms });
    }

    /// What was before a charge, and whether work of these dimensions is counted where the charge was; `None`: it was not
    /// counted.
    pub(super) fn stands(&self, seq: u64, dimensions: [&str; 3], counted: Option<&Counted>) -> Option<(i64, bool)> {
        let (known, before) = self.charges.get(&seq)?;
        let same = counted.is_some_and(|counted| place(&mut Parts::default(), dimensions, counted) == *known);
        Some((*before, same))
    }

    /// Whether a reversal gives its quantity back where the charge was counted, and nowhere else.
    pub(super) fn gives_back(&self, reversal: &Reversal, is_whole: bool) -> bool {
        let charge = self.charges.get(&reversal.original_seq).filter(|_| is_whole);
        place_of(&mut Parts::default(), reversal) == charge.map(|(place, _)| *place)
    }
}

fn place_of(parts: &mut Parts, reversal: &Reversal) -> Option<u64> {
    let counted = reversal.counted.as_deref()?;
    Some(place(parts, [&reversal.service, &reversal.engine, &reversal.unit], counted))
}
