//! Helpers over the generated ledger messages: what every reader of the ledger asks of an entry.

use crate::v1::{Entry, PurchaseSource, ReversalCause, Usage, UsageStatus, entry::Kind};

/// Most entries in one [`LedgerRecord`](crate::v1::LedgerRecord).
pub const RECORD_ENTRIES_MAX: usize = 1_000;
/// Most bytes in one encoded [`LedgerRecord`](crate::v1::LedgerRecord).
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// The `type` of a transaction as people and filters name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EntryType {
    /// Usage, charged or failed.
    Consume,
    /// Bought by hand.
    Purchase,
    /// Bought by rule.
    AutoRecharge,
    /// A charge, or a part of it, given back on request.
    Refund,
    /// Takes back an earlier entry for any other cause.
    Reversal,
    /// By hand, with a reason.
    Adjustment,
    /// Given, may expire.
    Bonus,
    /// What was given expired.
    BonusExpiry,
    /// A plan's monthly fee.
    PlanFee,
    /// A month of a plan without a fee; no money moves.
    NoPlanFee,
    /// The account's first entry; no money moves.
    AccountOpened,
    /// No money moves.
    PlanChanged,
    /// Money set aside; the balance stays.
    HoldPlaced,
    /// Money set aside is free again; the balance stays.
    HoldReleased,
    /// No money moves.
    CreditLimitSet,
    /// No money moves.
    EventDefined,
    /// No money moves.
    BoothSet,
    /// No money moves.
    RechargeSet,
    /// Credit is to be bought; no money moves yet.
    RechargeRequested,
    /// Nothing was bought; no money moves.
    RechargeFailed,
    /// No money moves.
    AlertsSet,
    /// Something was crossed; no money moves.
    AlertRaised,
    /// Charged anew at another price, behind a reversal.
    Repriced,
    /// No money moves.
    ProfileSet,
}

impl EntryType {
    /// Every type.
    pub const ALL: &[Self] = &[
        Self::Consume,
        Self::Purchase,
        Self::AutoRecharge,
        Self::Refund,
        Self::Reversal,
        Self::Adjustment,
        Self::Bonus,
        Self::BonusExpiry,
        Self::PlanFee,
        Self::NoPlanFee,
        Self::AccountOpened,
        Self::PlanChanged,
        Self::HoldPlaced,
        Self::HoldReleased,
        Self::CreditLimitSet,
        Self::EventDefined,
        Self::BoothSet,
        Self::RechargeSet,
        Self::RechargeRequested,
        Self::RechargeFailed,
        Self::AlertsSet,
        Self::AlertRaised,
        Self::Repriced,
        Self::ProfileSet,
    ];

    /// The code in rows, labels and answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Purchase => "purchase",
            Self::AutoRecharge => "auto_recharge",
            Self::Refund => "refund",
            Self::Reversal => "reversal",
            Self::Adjustment => "adjustment",
            Self::Bonus => "bonus",
            Self::BonusExpiry => "bonus_expiry",
            Self::PlanFee => "plan_fee",
            Self::NoPlanFee => "no_plan_fee",
            Self::AccountOpened => "account_opened",
            Self::PlanChanged => "plan_changed",
            Self::HoldPlaced => "hold_placed",
            Self::HoldReleased => "hold_released",
            Self::CreditLimitSet => "credit_limit_set",
            Self::EventDefined => "event_defined",
            Self::BoothSet => "booth_set",
            Self::RechargeSet => "recharge_set",
            Self::RechargeRequested => "recharge_requested",
            Self::RechargeFailed => "recharge_failed",
            Self::AlertsSet => "alerts_set",
            Self::AlertRaised => "alert_raised",
            Self::Repriced => "repriced",
            Self::ProfileSet => "profile_set",
        }
    }

    /// The type of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|entry_type| entry_type.code() == code)
    }

    /// Whether activity pages list it without being asked (`include=all` lists the others too).
    #[must_use]
    pub const fn is_listed(self) -> bool {
        match self {
            Self::Consume
            | Self::Purchase
            | Self::AutoRecharge
            | Self::Refund
            | Self::Reversal
            | Self::Adjustment
            | Self::Bonus
            | Self::BonusExpiry
            | Self::PlanFee
            | Self::Repriced => true,
            Self::NoPlanFee
            | Self::AccountOpened
            | Self::PlanChanged
            | Self::HoldPlaced
            | Self::HoldReleased
            | Self::CreditLimitSet
            | Self::EventDefined
            | Self::BoothSet
            | Self::RechargeSet
            | Self::RechargeRequested
            | Self::RechargeFailed
            | Self::AlertsSet
            | Self::AlertRaised
            | Self::ProfileSet => false,
        }
    }
}

impl Entry {
    /// Its type; `None` for a kind this release does not know: the reader must stop.
    #[must_use]
    pub fn entry_type(&self) -> Option<EntryType> {
        Some(match self.kind.as_ref()? {
            Kind::AccountOpened(_) => EntryType::AccountOpened,
            Kind::Usage(_) => EntryType::Consume,
            Kind::Adjustment(_) => EntryType::Adjustment,
            Kind::PlanChanged(_) => EntryType::PlanChanged,
            Kind::HoldPlaced(_) => EntryType::HoldPlaced,
            Kind::HoldReleased(_) => EntryType::HoldReleased,
            Kind::CreditLimitSet(_) => EntryType::CreditLimitSet,
            Kind::Reversal(reversal) if reversal.cause() == ReversalCause::Refund => EntryType::Refund,
            Kind::Reversal(_) => EntryType::Reversal,
            Kind::BonusGranted(_) => EntryType::Bonus,
            Kind::BonusExpired(_) => EntryType::BonusExpiry,
            Kind::Purchase(purchase) if purchase.source() == PurchaseSource::AutoRecharge => EntryType::AutoRecharge,
            Kind::Purchase(_) => EntryType::Purchase,
            Kind::PlanFee(_) if self.amount_micros == 0 => EntryType::NoPlanFee,
            Kind::PlanFee(_) => EntryType::PlanFee,
            Kind::EventDefined(_) => EntryType::EventDefined,
            Kind::BoothSet(_) => EntryType::BoothSet,
            Kind::RechargeSet(_) => EntryType::RechargeSet,
            Kind::RechargeRequested(_) => EntryType::RechargeRequested,
            Kind::RechargeFailed(_) => EntryType::RechargeFailed,
            Kind::AlertsSet(_) => EntryType::AlertsSet,
            Kind::AlertRaised(_) => EntryType::AlertRaised,
            Kind::Repriced(_) => EntryType::Repriced,
            Kind::ProfileSet(_) => EntryType::ProfileSet,
        })
    }

    /// The usage it charges or lists as failed.
    #[must_use]
    pub const fn usage(&self) -> Option<&Usage> {
        match &self.kind {
            Some(Kind::Usage(usage)) => Some(usage),
            _ => None,
        }
    }

    /// The work that it charges: of usage that succeeded, or charged anew.
    #[must_use]
    pub fn charge(&self) -> Option<&Usage> {
        match &self.kind {
            Some(Kind::Usage(usage)) if usage.status() == UsageStatus::Success => Some(usage),
            Some(Kind::Repriced(repriced)) => repriced.charge.as_deref(),
            _ => None,
        }
    }

    /// Whether it is the first one of two that are read together: what it leaves is not looked at.
    #[must_use]
    pub fn is_first_of_two(&self) -> bool {
        matches!(&self.kind, Some(Kind::Reversal(reversal)) if reversal.cause() == ReversalCause::Repricing)
    }

    /// What it sets aside, or sets free again without usage; 0: it is about no hold.
    #[must_use]
    pub const fn hold_amount_micros(&self) -> i64 {
        match &self.kind {
            Some(Kind::HoldPlaced(hold)) => hold.amount_micros,
            Some(Kind::HoldReleased(hold)) => hold.amount_micros,
            _ => 0,
        }
    }

    /// The event its money belongs to; empty: none.
    #[must_use]
    pub fn event_id(&self) -> &str {
        match &self.kind {
            Some(Kind::Usage(usage)) => &usage.event_id,
            Some(Kind::Reversal(reversal)) => &reversal.event_id,
            Some(Kind::Repriced(repriced)) => repriced.charge.as_ref().map_or("", |charge| &charge.event_id),
            _ => "",
        }
    }

    /// Whether it lists failed work.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.usage().is_some_and(|usage| usage.status() == UsageStatus::Failed)
    }
}
