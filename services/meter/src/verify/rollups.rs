//! The rollups against the ledger: sum by sum.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{
    audit::Audit,
    digest::{Key, Parts},
    ledger_row::LedgerRow,
    report::{Checked, Defect, Unchecked},
};

/// Seconds in a bucket.
const BUCKET_SECONDS: i64 = 900;

/// The rollups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollup {
    /// `usage_15m_by_account`.
    Account,
    /// `usage_15m_by_event`.
    Event,
    /// `usage_15m_by_booth`.
    Booth,
}

impl Rollup {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Account, Self::Event, Self::Booth];

    /// Name of the table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Account => "usage_15m_by_account",
            Self::Event => "usage_15m_by_event",
            Self::Booth => "usage_15m_by_booth",
        }
    }

    /// Name of the column beside the account, if there is one.
    #[must_use]
    pub const fn party(self) -> Option<&'static str> {
        match self {
            Self::Account => None,
            Self::Event => Some("event_id"),
            Self::Booth => Some("booth_id"),
        }
    }
}

impl<'a> LedgerRow<'a> {
    fn party(&self, rollup: Rollup) -> Option<&'a str> {
        match rollup {
            Rollup::Account => Some(""),
            Rollup::Event => Some(self.event_id).filter(|id| !id.is_empty()),
            Rollup::Booth => Some(self.booth_id).filter(|id| !id.is_empty()),
        }
    }

    /// What it adds to a rollup, if anything.
    pub(super) fn rolled_up(&self, rollup: Rollup) -> Option<RollupRow<'a>> {
        let moves_money = matches!(
            self.entry_type,
            "consume"
                | "purchase"
                | "auto_recharge"
                | "refund"
                | "reversal"
                | "adjustment"
                | "bonus"
                | "bonus_expiry"
                | "plan_fee"
                | "repriced"
        );
        if !moves_money {
            return None;
        }
        let failed = self.status == "failed";
        let gives_back = matches!(self.entry_type, "refund" | "reversal");
        let sign = if gives_back { -1 } else { 1 };
        let bucket = self.occurred_at.div_euclid(BUCKET_SECONDS * 1_000) * BUCKET_SECONDS;
        Some(RollupRow {
            account_id: self.account_id,
            party: self.party(rollup)?,
            bucket: u32::try_from(bucket).unwrap_or_default(),
            entry_type: self.entry_type,
            service: self.service,
            engine: self.engine,
            variant: self.variant,
            plan: self.plan,
            status: self.status,
            // Of what is given back, only what completes a charge carries its quantity and takes the operation back.
            count: if gives_back { -i64::from(self.quantity != 0) } else { i64::from(!failed) },
            failed: i64::from(failed),
            quantity: sign * i128::from(self.quantity),
            amount: self.amount.into(),
            provider_cost: sign * i128::from(self.provider_cost),
        })
    }
}

/// A row of a rollup; `party` is the event or the booth.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RollupRow<'a> {
    pub account_id: &'a str,
    pub party: &'a str,
    pub bucket: u32,
    pub entry_type: &'a str,
    pub service: &'a str,
    pub engine: &'a str,
    pub variant: &'a str,
    pub plan: &'a str,
    pub status: &'a str,
    pub count: i64,
    pub failed: i64,
    pub quantity: i128,
    pub amount: i128,
    pub provider_cost: i128,
}

impl RollupRow<'_> {
    fn key(&self, parts: &mut Parts) -> Key {
        parts.clear().text(self.account_id).text(self.party).number(self.bucket.into());
        parts.text(self.entry_type).text(self.service).text(self.engine).text(self.variant);
        parts.text(self.plan).text(self.status).key()
    }
}

/// What is left of a rollup's sums when ClickHouse's are taken off the ledger's: nothing.
#[derive(Debug, Default, Clone)]
pub(super) struct Sums {
    count: i64,
    failed: i64,
    quantity: i128,
    amount: i128,
    provider_cost: i128,
    account: u32,
    bucket: u32,
    is_moving: bool,
}

impl Sums {
    fn add(&mut self, row: &RollupRow<'_>, sign: i8) {
        self.count = self.count.wrapping_add(row.count.wrapping_mul(sign.into()));
        self.failed = self.failed.wrapping_add(row.failed.wrapping_mul(sign.into()));
        self.quantity = self.quantity.wrapping_add(row.quantity.wrapping_mul(sign.into()));
        self.amount = self.amount.wrapping_add(row.amount.wrapping_mul(sign.into()));
        self.provider_cost = self.provider_cost.wrapping_add(row.provider_cost.wrapping_mul(sign.into()));
    }

    fn is_zero(&self) -> bool {
        self.count == 0 && self.failed == 0 && self.quantity == 0 && self.amount == 0 && self.provider_cost == 0
    }
}

impl Audit {
    pub(super) fn add_to_rollups(&mut self, account: u32, row: &LedgerRow<'_>) {
        for (rollup, sums) in Rollup::ALL.into_iter().zip(&mut self.rollups) {
            let Some(rolled_up) = row.rolled_up(rollup) else { continue };
            let key = rolled_up.key(&mut self.parts);
            let bucket = rolled_up.bucket;
            sums.entry(key).or_insert_with(|| Sums { account, bucket, ..Sums::default() }).add(&rolled_up, 1);
        }
    }

    pub(super) fn touch_rollups(&mut self, row: &LedgerRow<'_>) {
        for (rollup, sums) in Rollup::ALL.into_iter().zip(&mut self.rollups) {
            let Some(rolled_up) = row.rolled_up(rollup) else { continue };
            sums.entry(rolled_up.key(&mut self.parts)).or_default().is_moving = true;
        }
    }

    /// A row of a rollup, merged or not, in any order.
    pub fn rollup(&mut self, rollup: Rollup, row: &RollupRow<'_>) {
        self.report.checked(Checked::RollupRows, 1);
        let key = row.key(&mut self.parts);
        let account = self.by_id.get(row.account_id).copied().unwrap_or(u32::MAX);
        let Some(sums) = self.rollups.get_mut(rollup as usize) else { return };
        let bucket = row.bucket;
        sums.entry(key).or_insert_with(|| Sums { account, bucket, ..Sums::default() }).add(row, -1);
    }

    pub(super) fn finish_rollups(&mut self) {
        if !self.rollups_given {
            return;
        }
        let mut moving = 0;
        for (rollup, sums) in Rollup::ALL.into_iter().zip(&self.rollups) {
            for sums in sums.values() {
                if sums.is_moving {
                    moving += 1;
                } else if !sums.is_zero() {
                    self.report.defect(Defect::RollupOff, || {
                        let account =
                            self.accounts.get(sums.account as usize).map_or("an unknown account", |at| &at.id);
                        let bucket = tollbooth_schemas::time::rfc3339(i64::from(sums.bucket) * 1_000);
                        format!(
                            "{}: {account} at {bucket}: ledger less rollup is count {}, failed {}, quantity {}, \
                             amount {}, provider cost {} (millionths)",
                            rollup.table(),
                            sums.count,
                            sums.failed,
                            sums.quantity,
                            sums.amount,
                            sums.provider_cost
                        )
                    });
                }
            }
        }
        self.count_unchecked(Unchecked::RollupsMoving, moving);
    }
}
