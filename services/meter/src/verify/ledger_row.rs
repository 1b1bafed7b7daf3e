//! The row of `ledger` that an entry must have.

use std::borrow::Cow;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tollbooth_schemas::account_state::AccountState;
use tollbooth_schemas::v1::{
    BudgetRule, Entry, HoldReleaseCause, LedgerRecord, PriceModel, PurchaseSource, RechargeSet, Repriced, Reversal,
    ReversalCause, SourceTopic, Usage, UsageStatus, entry::Kind, recharge_set::Size,
};

use super::digest::Parts;

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
            Kind::ProfileSet(set) => {
                (self.account_name, self.time_zone) = (&set.name, &set.time_zone);
                "profile_set"
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
