//! What happens when an instant is reached, without anybody asking.
//!
//! The fold keeps an index of it; [`tick`] makes the entry. A thing ends by its entry, not by its instant: a hold that
//! is past its expiry can be captured until the entry stands, and every replay sees the same order.

use tollbooth_schemas::v1::{BonusExpired, Entry, HoldReleaseCause, HoldReleased, SourceTopic, entry::Kind};

use crate::{
    alerts, fees,
    holds::Hold,
    period::Period,
    place::{Draft, place},
    pricing::PriceBooks,
    recharge,
    state::{State, View},
};

/// Which of what is due counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticks {
    /// All of it.
    All,
    /// Plan fees wait: what the price books say is not known.
    WithoutFees,
}

/// Something that happens at an instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    pub(crate) at_ms: i64,
    pub(crate) account_id: Box<str>,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Hold(Box<str>),
    /// By the entry that granted it.
    Bonus(u64),
    /// The month whose plan fee it is.
    Fee(Period),
    /// To be asked for, or given up.
    Recharge,
    /// By its number.
    Alert(u64),
}

impl Due {
    pub(crate) fn hold(account_id: &str, hold_id: &str, at_ms: i64) -> Self {
        Self { at_ms, account_id: account_id.into(), what: What::Hold(hold_id.into()) }
    }

    pub(crate) fn bonus(account_id: &str, granted_seq: u64, at_ms: i64) -> Self {
        Self { at_ms, account_id: account_id.into(), what: What::Bonus(granted_seq) }
    }

    pub(crate) fn fee(account_id: &str, period: Period, at_ms: i64) -> Self {
        Self { at_ms, account_id: account_id.into(), what: What::Fee(period) }
    }

    pub(crate) fn recharge(account_id: &str, at_ms: i64) -> Self {
        Self { at_ms, account_id: account_id.into(), what: What::Recharge }
    }

    pub(crate) fn alert(account_id: &str, number: u64, at_ms: i64) -> Self {
        Self { at_ms, account_id: account_id.into(), what: What::Alert(number) }
    }

    /// Whether a price book has a word in it.
    #[must_use]
    pub const fn is_fee(&self) -> bool {
        matches!(self.what, What::Fee(_))
    }

    /// When.
    #[must_use]
    pub const fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// Whose.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.account_id
    }
}

/// The next instant at which something is due.
#[must_use]
pub fn due(state: &State, ticks: Ticks) -> Option<i64> {
    let fee = state.fees.first().filter(|_| ticks == Ticks::All);
    state.due.first().into_iter().chain(fee).map(Due::at_ms).min()
}

/// The entry of what was due in the committed state; `None` where it is not due yet, or no longer in the batch that
/// `view` holds.
#[must_use]
pub fn tick(view: &impl View, books: &PriceBooks, due: &Due, now_ms: i64) -> Option<Entry> {
    if due.at_ms > now_ms {
        return None;
    }
    let account = view.account(&due.account_id)?;
    let draft = match &due.what {
        What::Hold(hold_id) => {
            let Some(Hold::Open(hold)) = view.hold(&due.account_id, hold_id) else { return None };
            if hold.expires_at_ms != due.at_ms {
                return None;
            }
            let kind = Kind::HoldReleased(HoldReleased {
                hold_id: hold_id.to_string(),
                amount_micros: hold.amount.micros(),
                cause: HoldReleaseCause::Expired.into(),
            });
            Draft::of(due.at_ms, kind).held(hold.amount.negated())
        }
        What::Bonus(granted_seq) => {
            let lot = account.lot(*granted_seq)?;
            let kind = Kind::BonusExpired(BonusExpired { granted_seq: *granted_seq });
            Draft::of(due.at_ms, kind).amount(lot.remaining.negated())
        }
        What::Fee(period) => fees::at_begin(account, books, *period, due.at_ms)?,
        What::Recharge => recharge::at_due(account, &due.account_id, due.at_ms, now_ms)?,
        What::Alert(number) => alerts::at_due(account, *number)?,
    };
    // Never out of bounds: what is left after an expiry is the purchased part and the other lots, each within its own,
    // and a fee that leaves them is none.
    place(Some(account), draft, SourceTopic::Tick, 0)
}
