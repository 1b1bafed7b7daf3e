//! ClickHouse against the ledger: rows, rollups, balances.

use std::borrow::Cow;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tollbooth_schemas::account_state::AccountState;
use tollbooth_schemas::v1::{
    BudgetRule, Entry, HoldReleaseCause, LedgerRecord, PriceModel, PurchaseSource, RechargeSet, Repriced, Reversal,
    ReversalCause, SourceTopic, Usage, UsageStatus, entry::Kind, recharge_set::Size,
};

use super::{
    audit::Audit,
    digest::{Key, Parts},
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

macro_rules! ledger_row {
    ($($column:literal $field:ident: $type:ty,)*) => {
        /// A row of `ledger`, every column that is written.
        #[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub struct LedgerRow<'a> {
            $(#[serde(rename = $column)] pub $field: $type,)*
        }

        impl LedgerRow<'_> {
            /// Columns in the order of the fields.
            pub const COLUMNS: &'static [&'static str] = &[$($column),*];

            pub(super) fn digest(&self, parts: &mut Parts) -> u64 {
                parts.clear();
                $(self.$field.part(parts);)*
                parts.digest()
            }
        }
    };
}

/// A column's value as a part of a digest.
trait Part {
    fn part(&self, parts: &mut Parts);
}

impl Part for &str {
    fn part(&self, parts: &mut Parts) {
        parts.text(self);
    }
}

impl Part for Cow<'_, str> {
    fn part(&self, parts: &mut Parts) {
        parts.text(self);
    }
}

macro_rules! number_part {
    ($($type:ty),*) => {
        $(impl Part for $type {
            fn part(&self, parts: &mut Parts) {
                parts.number(i64::from(*self));
            }
        })*
    };
}

number_part!(i64, u32, u16, bool);

impl Part for u64 {
    fn part(&self, parts: &mut Parts) {
        parts.number(self.cast_signed());
    }
}

ledger_row! {
    "account_id" account_id: &'a str,
    "seq" seq: u64,
    "type" entry_type: &'a str,
    "status" status: &'a str,
    "service" service: &'a str,
    "engine" engine: &'a str,
    "variant" variant: &'a str,
    "country" country: &'a str,
    "unit" unit: &'a str,
    "plan" plan: &'a str,
    "currency" currency: &'a str,
    "quantity" quantity: i64,
    "amount" amount: i64,
    "balance_after" balance_after: i64,
    "held_after" held_after: i64,
    "posted_at" posted_at: i64,
    "occurred_at" occurred_at: i64,
    "receipt_lag_ms" receipt_lag_ms: i64,
    "capture_lag_ms" capture_lag_ms: i64,
    "has_captured_at" has_captured_at: bool,
    "event_id" event_id: &'a str,
    "booth_id" booth_id: &'a str,
    "operation_id" operation_id: &'a str,
    "attempt" attempt: u32,
    "price_version" price_version: u32,
    "price_model" price_model: &'a str,
    "unit_price" unit_price: i64,
    "provider_cost" provider_cost: i64,
    "has_provider_cost" has_provider_cost: bool,
    "reason" reason: &'a str,
    "note" note: &'a str,
    "hold_id" hold_id: &'a str,
    "test_mode" test_mode: bool,
    "actor" actor: &'a str,
    "idempotency_key" idempotency_key: &'a str,
    "source_topic" source_topic: &'a str,
    "source_partition" source_partition: u16,
    "source_offset" source_offset: i64,
    "input_generation" input_generation: u32,
    "account_name" account_name: &'a str,
    "time_zone" time_zone: &'a str,
    "plan_effective_at_ms" plan_effective_at_ms: i64,
    "account_state" account_state: Cow<'a, str>,
    "from_bonus" from_bonus: i64,
    "original_seq" original_seq: u64,
    "hold_amount" hold_amount: i64,
    "detail" detail: Cow<'a, str>,
}

impl<'a> LedgerRow<'a> {
    /// The row that an entry must have.
    #[must_use]
    pub fn of_entry(record: &'a LedgerRecord, partition: i32, entry: &'a Entry) -> Self {
        let mut row = Self::bare(record, partition, entry);
        match &entry.kind {
            Some(Kind::AccountOpened(opened)) => {
                row.entry_type = "account_opened";
                row.account_name = &opened.name;
                row.plan = &opened.plan;
                row.currency = &opened.currency;
                row.time_zone = &opened.time_zone;
            }
            Some(Kind::Usage(usage)) => row.set_usage(record, entry, usage),
            Some(Kind::Adjustment(adjustment)) => {
                row.entry_type = "adjustment";
                row.reason = &adjustment.reason;
                row.note = &adjustment.note;
            }
            Some(Kind::PlanChanged(changed)) => {
                row.entry_type = "plan_changed";
                row.plan = &changed.plan;
                row.plan_effective_at_ms = changed.effective_at_ms;
            }
            Some(kind) => row.set_rare(kind, entry.amount_micros),
            None => {}
        }
        row
    }

    fn bare(record: &'a LedgerRecord, partition: i32, entry: &'a Entry) -> Self {
        let command = entry.command.as_ref();
        Self {
            account_id: &record.account_id,
            seq: entry.seq,
            entry_type: "",
            status: "",
            service: "",
            engine: "",
            variant: "",
            country: "",
            unit: "",
            plan: "",
            currency: "",
            quantity: 0,
            amount: entry.amount_micros,
            balance_after: entry.balance_after_micros,
            held_after: entry.held_after_micros,
            posted_at: record.posted_at_ms,
            occurred_at: entry.occurred_at_ms,
            receipt_lag_ms: 0,
            capture_lag_ms: 0,
            has_captured_at: false,
            event_id: "",
            booth_id: "",
            operation_id: "",
            attempt: 0,
            price_version: 0,
            price_model: "",
            unit_price: 0,
            provider_cost: 0,
            has_provider_cost: false,
            reason: "",
            note: "",
            hold_id: "",
            test_mode: false,
            actor: command.map_or("", |command| &command.actor),
            idempotency_key: command.map_or("", |command| &command.idempotency_key),
            source_topic: match entry.source_topic() {
                SourceTopic::Usage => "usage",
                SourceTopic::Commands => "commands",
                SourceTopic::Tick => "tick",
                SourceTopic::Unspecified => "",
            },
            source_partition: u16::try_from(partition).unwrap_or(u16::MAX),
            source_offset: entry.source_offset,
            input_generation: record.input_generation,
            account_name: "",
            time_zone: "",
            plan_effective_at_ms: 0,
            account_state: Cow::Borrowed(""),
            from_bonus: entry.from_bonus_micros,
            original_seq: 0,
            hold_amount: 0,
            detail: Cow::Borrowed(""),
        }
    }

    fn set_usage(&mut self, record: &LedgerRecord, entry: &'a Entry, usage: &'a Usage) {
        self.set_work(usage);
        self.entry_type = "consume";
        let key = entry.command.as_ref().map(|command| command.idempotency_key.as_str());
        self.note = key.and_then(tollbooth_schemas::redrive::letter_of_key).unwrap_or_default();
        self.receipt_lag_ms = record.posted_at_ms.wrapping_sub(usage.received_at_ms);
        if let Some(captured_at_ms) = usage.captured_at_ms {
            self.has_captured_at = true;
            self.capture_lag_ms = entry.occurred_at_ms.wrapping_sub(captured_at_ms);
        }
    }

    /// Names what it replaces, and the re-pricing.
    fn set_repriced(&mut self, repriced: &'a Repriced) {
        if let Some(charge) = &repriced.charge {
            self.set_work(charge);
        }
        self.reason = if repriced.undo { "repricing_undone" } else { "repricing" };
        (self.note, self.original_seq) = (&repriced.repricing_id, repriced.replaced_seq);
    }

    fn set_work(&mut self, usage: &'a Usage) {
        self.status = match usage.status() {
            UsageStatus::Success => "success",
            UsageStatus::Failed => "failed",
            UsageStatus::Unspecified => "",
        };
        (self.service, self.engine, self.variant) = (&usage.service, &usage.engine, &usage.variant);
        (self.country, self.unit, self.plan) = (&usage.country, &usage.unit, &usage.plan);
        (self.event_id, self.booth_id, self.operation_id) = (&usage.event_id, &usage.booth_id, &usage.operation_id);
        (self.quantity, self.attempt, self.test_mode) = (usage.quantity_micros, usage.attempt, usage.test_mode);
        (self.price_version, self.unit_price) = (usage.price_version, usage.unit_price_micros);
        self.price_model = match usage.price_model() {
            PriceModel::PerUnit => "per_unit",
            PriceModel::Flat => "flat",
            PriceModel::Package => "package",
            PriceModel::Graduated => "graduated",
            PriceModel::Volume => "volume",
            PriceModel::Unspecified => "",
        };
        if let Some(pricing) = &usage.pricing {
            self.detail = tollbooth_schemas::pricing::text(pricing).into();
        }
        self.provider_cost = usage.provider_cost_micros.unwrap_or_default();
        self.has_provider_cost = usage.provider_cost_micros.is_some();
        (self.reason, self.hold_id) = (&usage.error_code, &usage.hold_id);
    }

    /// The kinds that are rarer than usage.
    fn set_rare(&mut self, kind: &'a Kind, amount: i64) {
        self.entry_type = match kind {
            Kind::HoldPlaced(hold) => {
                (self.service, self.engine, self.variant) = (&hold.service, &hold.engine, &hold.variant);
                (self.country, self.unit, self.plan) = (&hold.country, &hold.unit, &hold.plan);
                (self.event_id, self.booth_id, self.hold_id) = (&hold.event_id, &hold.booth_id, &hold.hold_id);
                (self.quantity, self.price_version) = (hold.quantity_micros, hold.price_version);
                self.hold_amount = hold.amount_micros;
                "hold_placed"
            }
            Kind::HoldReleased(released) => {
                (self.hold_id, self.hold_amount) = (&released.hold_id, released.amount_micros);
                self.reason = match released.cause() {
                    HoldReleaseCause::Voided => "voided",
                    HoldReleaseCause::Expired => "expired",
                    HoldReleaseCause::Unspecified => "",
                };
                "hold_released"
            }
            Kind::Reversal(reversal) => {
                self.set_reversal(reversal);
                if reversal.cause() == ReversalCause::Refund { "refund" } else { "reversal" }
            }
            Kind::BonusGranted(granted) => {
                (self.reason, self.note) = (&granted.reason, &granted.note);
                let expires_at_ms = granted.expires_at_ms;
                self.account_state = AccountState::BonusGranted { expires_at_ms }.text().into();
                "bonus"
            }
            Kind::BonusExpired(expired) => {
                self.original_seq = expired.granted_seq;
                "bonus_expiry"
            }
            Kind::Purchase(purchase) => {
                (self.reason, self.note) = (&purchase.provider, &purchase.payment_id);
                if purchase.source() == PurchaseSource::AutoRecharge { "auto_recharge" } else { "purchase" }
            }
            Kind::PlanFee(fee) => {
                (self.plan, self.reason, self.price_version) = (&fee.plan, &fee.period, fee.price_version);
                if amount == 0 { "no_plan_fee" } else { "plan_fee" }
            }
            Kind::EventDefined(defined) => {
                (self.event_id, self.note) = (&defined.event_id, &defined.name);
                let state = AccountState::EventDefined {
                    starts_at_ms: defined.starts_at_ms,
                    ends_at_ms: defined.ends_at_ms,
                    time_zone: defined.time_zone.as_str().into(),
                    budget_micros: defined.budget_micros,
                    refuses_holds: defined.on_exceeded() == BudgetRule::RefuseHolds,
                };
                self.account_state = state.text().into();
                "event_defined"
            }
            Kind::BoothSet(set) => {
                (self.booth_id, self.note) = (&set.booth_id, &set.name);
                self.reason = if set.paused { "paused" } else { "" };
                "booth_set"
            }
            Kind::CreditLimitSet(set) => {
                let credit_limit_micros = set.credit_limit_micros;
                self.account_state = AccountState::CreditLimitSet { credit_limit_micros }.text().into();
                "credit_limit_set"
            }
            Kind::RechargeSet(set) => {
                self.reason = if set.enabled { "" } else { "off" };
                self.detail = rule(set).to_string().into();
                "recharge_set"
            }
            Kind::RechargeRequested(requested) => {
                self.note = &requested.recharge_id;
                let detail = json!({
                    "amount_micros": requested.amount_micros, "available_micros": requested.available_micros,
                    "day_ends_at_ms": requested.day_ends_at_ms, "month_ends_at_ms": requested.month_ends_at_ms,
                    "threshold_micros": requested.threshold_micros,
                });
                self.detail = detail.to_string().into();
                "recharge_requested"
            }
            Kind::RechargeFailed(failed) => {
                (self.note, self.reason) = (&failed.recharge_id, &failed.reason);
                let (failures, retry_at_ms) = (failed.failures, failed.retry_at_ms);
                let amount_micros = failed.amount_micros;
                let detail =
                    json!({ "amount_micros": amount_micros, "failures": failures, "retry_at_ms": retry_at_ms });
                self.detail = detail.to_string().into();
                "recharge_failed"
            }
            Kind::AlertsSet(set) => {
                let mut detail = json!({
                    "balance_below_micros": set.balance_below_micros,
                    "below_top_up_percents": set.below_top_up_percents,
                    "event_budget_percents": set.event_budget_percents, "recharge_failed": set.recharge_failed,
                });
                if let Some(hours) = set.empty_in_hours {
                    detail["empty_in_hours"] = hours.into();
                }
                if let Some(spike) = &set.booth_spike {
                    detail["booth_spike"] = json!({ "at_least_micros": spike.at_least_micros, "times": spike.times });
                }
                self.detail = detail.to_string().into();
                "alerts_set"
            }
            Kind::AlertRaised(alert) => {
                (self.reason, self.note) = (super::alerts::code(alert.kind()), &alert.recharge_id);
                (self.event_id, self.booth_id) = (&alert.event_id, &alert.booth_id);
                let mut detail = json!({
                    "balance_micros": alert.balance_micros, "crossed_at_ms": alert.crossed_at_ms,
                    "crossed_seq": alert.crossed_seq, "failure": alert.reason, "hours": alert.hours,
                    "number": alert.number, "percent": alert.percent, "spent_micros": alert.spent_micros,
                    "threshold_micros": alert.threshold_micros,
                });
                if !alert.booth_id.is_empty() {
                    detail["hour_at_ms"] = alert.hour_at_ms.into();
                    detail["times"] = alert.times.into();
                    detail["usual_micros"] = alert.usual_micros.into();
                }
                self.detail = detail.to_string().into();
                "alert_raised"
            }
            Kind::Repriced(repriced) => {
                self.set_repriced(repriced);
                "repriced"
            }
            Kind::AccountOpened(_) | Kind::Usage(_) | Kind::Adjustment(_) | Kind::PlanChanged(_) => return,
        };
    }

    fn set_reversal(&mut self, reversal: &'a Reversal) {
        (self.service, self.engine, self.variant) = (&reversal.service, &reversal.engine, &reversal.variant);
        (self.country, self.unit, self.plan) = (&reversal.country, &reversal.unit, &reversal.plan);
        (self.event_id, self.booth_id) = (&reversal.event_id, &reversal.booth_id);
        (self.operation_id, self.attempt) = (&reversal.operation_id, reversal.attempt);
        (self.quantity, self.price_version) = (reversal.quantity_micros, reversal.price_version);
        (self.reason, self.note, self.test_mode) = (&reversal.reason, &reversal.note, reversal.test_mode);
        self.original_seq = reversal.original_seq;
    }

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

/// The rule, without what is not set.
fn rule(set: &RechargeSet) -> Value {
    let (amount, target) = match set.size {
        Some(Size::AmountMicros(micros)) => (Some(micros), None),
        Some(Size::TargetMicros(micros)) => (None, Some(micros)),
        None => (None, None),
    };
    let mut members = Map::new();
    for (name, value) in [
        ("amount_max_micros", set.amount_max_micros.map(Value::from)),
        ("amount_micros", amount.map(Value::from)),
        ("daily_cap_micros", set.daily_cap_micros.map(Value::from)),
        ("enabled", Some(set.enabled.into())),
        ("monthly_cap_micros", set.monthly_cap_micros.map(Value::from)),
        ("target_micros", target.map(Value::from)),
        ("threshold_micros", Some(set.threshold_micros.into())),
    ] {
        members.extend(value.map(|value| (name.to_owned(), value)));
    }
    Value::Object(members)
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

/// A line of `account_balances`, merged.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct BalanceRow<'a> {
    /// The account.
    pub account_id: &'a str,
    /// `seq`, balance, held, posting time of its last entry.
    pub latest: (u64, i64, i64, i64),
    /// `seq`, name, currency, zone, posting time of its opening.
    #[serde(borrow)]
    pub profile: (u64, &'a str, &'a str, &'a str, i64),
    /// `seq`, plan, effective instant of its last plan; 0 for the opening.
    #[serde(borrow)]
    pub plan: (u64, &'a str, i64),
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

    /// Says that the tables are about to be given, even if nothing is in them.
    pub fn tables_follow(&mut self) {
        self.rows_given = true;
        self.rollups_given = true;
        self.balances_given = true;
    }

    /// A row of `ledger`, in any order.
    pub fn row(&mut self, row: &LedgerRow<'_>) {
        self.report.checked(Checked::Rows, 1);
        let found = row.digest(&mut self.parts);
        let account = self.by_id.get(row.account_id).and_then(|index| self.accounts.get_mut(*index as usize));
        let Some((account, index)) = account.and_then(|account| account.index_of(row.seq).map(|at| (account, at)))
        else {
            self.rows_beyond.push((row.account_id.into(), row.seq));
            return;
        };
        let (word, bit) = (index / 64, 1_u64 << (index % 64));
        if account.rows_seen.len() <= word {
            account.rows_seen.resize(word + 1, 0);
        }
        let Some((seen, entry)) = account.rows_seen.get_mut(word).zip(account.entries.get(index)) else { return };
        let name = || tollbooth_schemas::ids::entry_id(row.account_id, row.seq);
        if *seen & bit != 0 {
            self.report.defect(Defect::RowDoubled, || format!("ledger row {}", name()));
        }
        *seen |= bit;
        if found != entry.row {
            self.report.defect(Defect::RowDiffers, || {
                let (amount, balance) = (entry.amount, entry.balance);
                format!("ledger row {} differs; the entry has amount {amount}, balance {balance}: {row:?}", name())
            });
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

    /// A line of `account_balances`, merged.
    pub fn balance(&mut self, row: &BalanceRow<'_>) {
        self.report.checked(Checked::BalanceRows, 1);
        let id = row.account_id;
        let index = self.by_id.get(id).copied();
        let Some(account) = index.and_then(|index| self.accounts.get_mut(index as usize)) else {
            self.rows_beyond.push((id.into(), 0));
            return;
        };
        if account.balance_seen {
            self.report.defect(Defect::BalanceOff, || format!("{id} has two lines"));
        }
        account.balance_seen = true;
        let Some(last) = account.entries.last() else { return };
        if row.latest.0 > last.seq {
            // Posted since, or made up: the tail tells.
            self.rows_beyond.push((id.into(), row.latest.0));
            return;
        }
        account.drift += (i128::from(row.latest.1) - i128::from(account.balance)).abs();
        let latest = (last.seq, account.balance, account.held, last.posted_at_ms);
        let profile = account.opened.as_ref().map_or((0, "", "", "", 0), |opened| {
            (opened.seq, &*opened.name, &*opened.currency, &*opened.time_zone, opened.posted_at_ms)
        });
        let plan = account.plans.last().map_or((0, "", 0), |from| {
            let is_opening = from.seq == profile.0;
            (from.seq, &*from.plan, if is_opening { 0 } else { from.effective_at_ms })
        });
        if row.latest != latest || row.profile != profile || row.plan != plan {
            self.report.defect(Defect::BalanceOff, || {
                format!(
                    "{id}: {:?} {:?} {:?}, expected {latest:?} {profile:?} {plan:?}",
                    row.latest, row.profile, row.plan
                )
            });
        }
    }

    pub(super) fn finish_rows(&mut self) {
        if !self.rows_given {
            return;
        }
        let mut moving = 0;
        for (id, seq) in &self.rows_beyond {
            // An account's line with `seq` 0 is of an account that the audit has not read.
            let is_new = *seq == 0 && self.by_id.get(id).is_some();
            if is_new || self.tail.contains(&(id.clone(), *seq)) {
                moving += 1;
            } else {
                self.report.defect(Defect::RowUnexpected, || format!("{id} seq {seq} is not in the ledger"));
            }
        }
        self.count_unchecked(Unchecked::RowsMoving, moving);
        for account in &self.accounts {
            for (index, entry) in account.entries.iter().enumerate() {
                let word = account.rows_seen.get(index / 64).copied().unwrap_or_default();
                // A `seq` that stands twice in the ledger has one place for its rows.
                let is_first = account.index_of(entry.seq) == Some(index);
                if word & (1 << (index % 64)) == 0 && is_first {
                    self.report.defect(Defect::RowMissing, || {
                        format!("ledger row {}", tollbooth_schemas::ids::entry_id(&account.id, entry.seq))
                    });
                }
            }
        }
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

    pub(super) fn finish_balances(&mut self) {
        if !self.balances_given {
            return;
        }
        let mut moving = 0;
        for account in self.accounts.iter().filter(|account| !account.entries.is_empty()) {
            if !account.balance_seen && account.moving {
                moving += 1;
            } else if !account.balance_seen {
                self.report.defect(Defect::BalanceOff, || format!("{} has no line in account_balances", account.id));
            }
        }
        self.count_unchecked(Unchecked::BalancesMoving, moving);
    }
}
