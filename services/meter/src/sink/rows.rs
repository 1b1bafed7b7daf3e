//! Rows of `ledger`: a pure function of the ledger records.
//!
//! A repeat of a range must give the same rows, byte for byte; so nothing enters here but the record, its partition, and
//! this code.

use prost::Message as _;
use tollbooth_schemas::account_state::AccountState;
use tollbooth_schemas::redrive;
use tollbooth_schemas::v1::{self, AlertsSet, BoothSpike};

use super::columns::{Code, Column, Flag, I64, Instant, Micros, Text, U16, U32, U64, write_column, write_head};
use super::wire::{
    AlertRaised, Entry, EventDefined, HoldPlaced, Kind, RechargeSet, Record, Repriced, Reversal, Usage, WireError,
};
use super::witness::Witnesses;

/// `type` is a word of the language.
const fn column_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        b"entry_type" => "type",
        _ => field,
    }
}

macro_rules! rows {
    ($($name:ident: $kind:ty,)*) => {
        /// A block of rows under construction, column by column.
        #[derive(Debug, Default)]
        pub struct Rows {
            count: usize,
            witnesses: Witnesses,
            $($name: $kind,)*
        }

        impl Rows {
            /// Names of the columns, in the order they are sent.
            pub const COLUMNS: &'static [&'static str] = &[$(column_name(stringify!($name))),*];

            /// Bytes of the body so far, roughly.
            #[must_use]
            pub fn bytes(&self) -> usize {
                0 $(+ self.$name.bytes())*
            }

            /// The block as the body of `INSERT ... FORMAT Native`.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                let mut body = Vec::with_capacity(self.bytes() + 64 * Self::COLUMNS.len());
                write_head(&mut body, Self::COLUMNS.len(), self.count);
                $(write_column(&mut body, column_name(stringify!($name)), &self.$name);)*
                body
            }
        }
    };
}

rows! {
    account_id: Text,
    seq: U64,
    entry_type: Code,
    status: Code,
    service: Code,
    engine: Code,
    variant: Code,
    country: Code,
    unit: Code,
    plan: Code,
    currency: Code,
    quantity: Micros,
    amount: Micros,
    balance_after: Micros,
    held_after: Micros,
    posted_at: Instant,
    occurred_at: Instant,
    receipt_lag_ms: I64,
    capture_lag_ms: I64,
    has_captured_at: Flag,
    event_id: Text,
    booth_id: Text,
    operation_id: Text,
    attempt: U32,
    price_version: U32,
    price_model: Code,
    unit_price: Micros,
    provider_cost: Micros,
    has_provider_cost: Flag,
    reason: Text,
    note: Text,
    hold_id: Text,
    test_mode: Flag,
    actor: Text,
    idempotency_key: Text,
    source_topic: Code,
    source_partition: U16,
    source_offset: I64,
    input_generation: U32,
    account_name: Text,
    time_zone: Code,
    plan_effective_at_ms: I64,
    account_state: Text,
    from_bonus: Micros,
    original_seq: U64,
    hold_amount: Micros,
    detail: Text,
}

/// What the kinds of entry differ in; empty where a kind has nothing to say.
#[derive(Debug, Default)]
struct Facts<'a> {
    entry_type: &'static str,
    usage: Usage<'a>,
    plan: &'a str,
    currency: &'a str,
    reason: &'a str,
    note: &'a str,
    account_name: &'a str,
    time_zone: &'a str,
    plan_effective_at_ms: i64,
    original_seq: u64,
    hold_amount_micros: i64,
    /// Only of what is rare.
    account_state: String,
    /// A JSON object, its members in alphabetical order.
    detail: String,
}

impl<'a> Facts<'a> {
    fn of(entry: &Entry<'a>) -> Self {
        match entry.kind {
            Kind::Unknown => Self::default(),
            Kind::AccountOpened { name, plan, currency, time_zone } => {
                Self { entry_type: "account_opened", account_name: name, plan, currency, time_zone, ..Self::default() }
            }
            Kind::Usage(usage) => {
                let (plan, reason, detail) = (usage.plan, usage.error_code, pricing(usage.pricing));
                // The dead letter that it was.
                let note = redrive::letter_of_key(entry.idempotency_key).unwrap_or_default();
                Self { entry_type: "consume", plan, reason, note, usage, detail, ..Self::default() }
            }
            Kind::Adjustment { reason, note } => Self { entry_type: "adjustment", reason, note, ..Self::default() },
            Kind::PlanChanged { plan, effective_at_ms } => {
                Self { entry_type: "plan_changed", plan, plan_effective_at_ms: effective_at_ms, ..Self::default() }
            }
            Kind::ProfileSet { name, time_zone } => {
                Self { entry_type: "profile_set", account_name: name, time_zone, ..Self::default() }
            }
            Kind::HoldPlaced(hold) => Self::of_hold(hold),
            Kind::HoldReleased { hold_id, amount_micros, cause } => {
                let usage = Usage { hold_id, ..Usage::default() };
                let (entry_type, hold_amount_micros) = ("hold_released", amount_micros);
                Self { entry_type, usage, reason: cause, hold_amount_micros, ..Self::default() }
            }
            Kind::CreditLimitSet { credit_limit_micros } => {
                let account_state = AccountState::CreditLimitSet { credit_limit_micros }.text();
                Self { entry_type: "credit_limit_set", account_state, ..Self::default() }
            }
            Kind::Reversal(reversal) => Self::of_reversal(reversal),
            Kind::BonusGranted { expires_at_ms, reason, note } => {
                let account_state = AccountState::BonusGranted { expires_at_ms }.text();
                Self { entry_type: "bonus", reason, note, account_state, ..Self::default() }
            }
            Kind::BonusExpired { granted_seq } => {
                Self { entry_type: "bonus_expiry", original_seq: granted_seq, ..Self::default() }
            }
            Kind::Purchase { payment_id, provider, source } => {
                let entry_type = if source == "auto_recharge" { "auto_recharge" } else { "purchase" };
                Self { entry_type, reason: provider, note: payment_id, ..Self::default() }
            }
            Kind::PlanFee { plan, period, price_version } => {
                let usage = Usage { price_version, ..Usage::default() };
                let entry_type = if entry.amount_micros == 0 { "no_plan_fee" } else { "plan_fee" };
                Self { entry_type, usage, plan, reason: period, ..Self::default() }
            }
            Kind::EventDefined(event) => Self::of_event(event),
            Kind::BoothSet { booth_id, name, paused } => {
                let usage = Usage { booth_id, ..Usage::default() };
                let reason = if paused { "paused" } else { "" };
                Self { entry_type: "booth_set", usage, reason, note: name, ..Self::default() }
            }
            Kind::RechargeSet(set) => {
                let reason = if set.enabled { "" } else { "off" };
                Self { entry_type: "recharge_set", reason, detail: rule(&set), ..Self::default() }
            }
            Kind::RechargeRequested {
                recharge_id,
                amount_micros,
                available_micros,
                threshold_micros,
                day_ends_at_ms,
                month_ends_at_ms,
            } => {
                let detail = format!(
                    r#"{{"amount_micros":{amount_micros},"available_micros":{available_micros},"day_ends_at_ms":{day_ends_at_ms},"month_ends_at_ms":{month_ends_at_ms},"threshold_micros":{threshold_micros}}}"#
                );
                Self { entry_type: "recharge_requested", note: recharge_id, detail, ..Self::default() }
            }
            Kind::RechargeFailed { recharge_id, reason, failures, retry_at_ms, amount_micros } => {
                let detail =
                    format!(r#"{{"amount_micros":{amount_micros},"failures":{failures},"retry_at_ms":{retry_at_ms}}}"#);
                Self { entry_type: "recharge_failed", note: recharge_id, reason, detail, ..Self::default() }
            }
            Kind::AlertsSet { document } => {
                // Was decoded before: it is one.
                let set = AlertsSet::decode(document).unwrap_or_default();
                Self { entry_type: "alerts_set", detail: alerts(&set), ..Self::default() }
            }
            Kind::AlertRaised(alert) => Self::of_alert(&alert),
            Kind::Repriced(repriced) => Self::of_repriced(repriced),
        }
    }

    /// Its kind stands in `reason`, so that it can be filtered by; why a recharge failed in `note`, or in the detail.
    fn of_alert(alert: &AlertRaised<'a>) -> Self {
        let AlertRaised { number, kind, crossed_seq, crossed_at_ms, balance_micros, threshold_micros, .. } = *alert;
        let AlertRaised { percent, event_id, spent_micros, hours, recharge_id, reason, .. } = *alert;
        let AlertRaised { booth_id, hour_at_ms, usual_micros, times, .. } = *alert;
        let failure = serde_json::Value::from(reason);
        // Only what is about a booth says it: the others' rows are as they ever were.
        let (hour, usual) = if booth_id.is_empty() {
            (String::new(), String::new())
        } else {
            let hour = format!(r#""hour_at_ms":{hour_at_ms},"#);
            (hour, format!(r#","times":{times},"usual_micros":{usual_micros}"#))
        };
        let detail = format!(
            r#"{{"balance_micros":{balance_micros},"crossed_at_ms":{crossed_at_ms},"crossed_seq":{crossed_seq},"failure":{failure},{hour}"hours":{hours},"number":{number},"percent":{percent},"spent_micros":{spent_micros},"threshold_micros":{threshold_micros}{usual}}}"#
        );
        let usage = Usage { event_id, booth_id, ..Usage::default() };
        Self { entry_type: "alert_raised", usage, reason: kind, note: recharge_id, detail, ..Self::default() }
    }

    fn of_event(event: EventDefined<'a>) -> Self {
        let EventDefined { event_id, name, starts_at_ms, ends_at_ms, time_zone, budget_micros, refuses_holds } = event;
        let time_zone = time_zone.into();
        let state = AccountState::EventDefined { starts_at_ms, ends_at_ms, time_zone, budget_micros, refuses_holds };
        let usage = Usage { event_id, ..Usage::default() };
        Self { entry_type: "event_defined", usage, note: name, account_state: state.text(), ..Self::default() }
    }

    /// The work it is for stands in the columns of work.
    fn of_hold(hold: HoldPlaced<'a>) -> Self {
        let HoldPlaced { service, engine, variant, country, unit, quantity_micros, .. } = hold;
        let HoldPlaced { event_id, booth_id, price_version, hold_id, plan, amount_micros, .. } = hold;
        let usage = Usage {
            service,
            engine,
            variant,
            country,
            unit,
            quantity_micros,
            event_id,
            booth_id,
            price_version,
            hold_id,
            ..Usage::default()
        };
        Self { entry_type: "hold_placed", usage, plan, hold_amount_micros: amount_micros, ..Self::default() }
    }

    /// It stands in the columns of the work that it gives back, without its status.
    fn of_reversal(reversal: Reversal<'a>) -> Self {
        let Reversal { operation_id, attempt, service, engine, variant, country, unit, quantity_micros, .. } = reversal;
        let Reversal { event_id, booth_id, price_version, test_mode, .. } = reversal;
        let usage = Usage {
            operation_id,
            attempt,
            service,
            engine,
            variant,
            country,
            unit,
            quantity_micros,
            event_id,
            booth_id,
            price_version,
            test_mode,
            ..Usage::default()
        };
        let Reversal { plan, reason, note, original_seq, .. } = reversal;
        let entry_type = if reversal.cause == "refund" { "refund" } else { "reversal" };
        Self { entry_type, usage, plan, reason, note, original_seq, ..Self::default() }
    }
}

impl<'a> Facts<'a> {
    /// As the charge that it replaces, which it names; the re-pricing stands in the note.
    fn of_repriced(repriced: Repriced<'a>) -> Self {
        let Repriced { repricing_id, replaced_seq, undo, charge } = repriced;
        Self {
            entry_type: "repriced",
            usage: charge,
            plan: charge.plan,
            reason: if undo { "repricing_undone" } else { "repricing" },
            note: repricing_id,
            original_seq: replaced_seq,
            detail: pricing(charge.pricing),
            ..Self::default()
        }
    }
}

/// Few charges have it.
fn pricing(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    // Its fields were not looked at before: what cannot be read explains nothing, and `verify` says so.
    v1::Pricing::decode(bytes).map(|pricing| tollbooth_schemas::pricing::text(&pricing)).unwrap_or_default()
}

/// What is not set is not there; lists are.
fn alerts(set: &AlertsSet) -> String {
    fn list<T: ToString>(marks: &[T]) -> String {
        marks.iter().map(T::to_string).collect::<Vec<_>>().join(",")
    }
    let below = list(&set.balance_below_micros);
    let top_up = list(&set.below_top_up_percents);
    let spike = set.booth_spike.as_ref().map(|spike| {
        let BoothSpike { times, at_least_micros } = spike;
        format!(r#""booth_spike":{{"at_least_micros":{at_least_micros},"times":{times}}},"#)
    });
    let spike = spike.unwrap_or_default();
    let empty = set.empty_in_hours.map(|hours| format!(r#""empty_in_hours":{hours},"#)).unwrap_or_default();
    let budget = list(&set.event_budget_percents);
    let failed = set.recharge_failed;
    format!(
        r#"{{"balance_below_micros":[{below}],"below_top_up_percents":[{top_up}],{spike}{empty}"event_budget_percents":[{budget}],"recharge_failed":{failed}}}"#
    )
}

/// What is not set is not there.
fn rule(set: &RechargeSet) -> String {
    let member = |name: &str, micros: Option<i64>| micros.map(|micros| format!(r#""{name}":{micros}"#));
    let members = [
        member("amount_max_micros", set.amount_max_micros),
        member("amount_micros", set.amount_micros),
        member("daily_cap_micros", set.daily_cap_micros),
        Some(format!(r#""enabled":{}"#, set.enabled)),
        member("monthly_cap_micros", set.monthly_cap_micros),
        member("target_micros", set.target_micros),
        member("threshold_micros", Some(set.threshold_micros)),
    ];
    format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(","))
}

impl Rows {
    /// Rows so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// What tells whether they are in the tables.
    #[must_use]
    pub fn into_witnesses(self) -> Witnesses {
        self.witnesses
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends the entries of one record of partition `partition`.
    ///
    /// # Errors
    /// [`WireError`]; rows of entries before the offending one have been appended, the block cannot be used.
    pub fn push_record(&mut self, partition: u16, bytes: &[u8]) -> Result<(), WireError> {
        self.push_entries(partition, &Record::parse(bytes)?)
    }

    /// As [`push_record`](Self::push_record), of a record whose outer fields were read.
    ///
    /// # Errors
    /// As there.
    pub fn push_entries(&mut self, partition: u16, record: &Record<'_>) -> Result<(), WireError> {
        record.entries(|entry| self.push(record, partition, entry))
    }

    fn push(&mut self, record: &Record<'_>, partition: u16, entry: &Entry<'_>) {
        let facts = Facts::of(entry);
        let usage = &facts.usage;
        self.count += 1;
        self.witnesses.look_at(record.account_id, entry);
        self.account_id.push(record.account_id);
        self.seq.push(entry.seq);
        self.entry_type.push(facts.entry_type);
        self.status.push(usage.status);
        self.plan.push(facts.plan);
        self.currency.push(facts.currency);
        self.amount.push(entry.amount_micros);
        self.balance_after.push(entry.balance_after_micros);
        self.held_after.push(entry.held_after_micros);
        self.posted_at.push(record.posted_at_ms);
        self.occurred_at.push(entry.occurred_at_ms);
        self.push_lags(record, entry, usage);
        self.push_work(usage);
        self.reason.push(facts.reason);
        self.note.push(facts.note);
        self.actor.push(entry.actor);
        self.idempotency_key.push(entry.idempotency_key);
        self.source_topic.push(entry.source_topic);
        self.source_partition.push(partition);
        self.source_offset.push(entry.source_offset);
        self.input_generation.push(record.input_generation);
        self.account_name.push(facts.account_name);
        self.time_zone.push(facts.time_zone);
        self.plan_effective_at_ms.push(facts.plan_effective_at_ms);
        self.account_state.push(&facts.account_state);
        self.from_bonus.push(entry.from_bonus_micros);
        self.original_seq.push(facts.original_seq);
        self.hold_amount.push(facts.hold_amount_micros);
        self.detail.push(&facts.detail);
    }

    /// Instants that lie close to another one are kept as their distance to it.
    fn push_lags(&mut self, record: &Record<'_>, entry: &Entry<'_>, usage: &Usage<'_>) {
        let is_usage = matches!(entry.kind, Kind::Usage(_));
        let receipt_lag_ms = record.posted_at_ms.wrapping_sub(usage.received_at_ms);
        self.receipt_lag_ms.push(if is_usage { receipt_lag_ms } else { 0 });
        let capture_lag_ms = usage.captured_at_ms.map(|instant| entry.occurred_at_ms.wrapping_sub(instant));
        self.capture_lag_ms.push(capture_lag_ms.unwrap_or_default());
        self.has_captured_at.push(capture_lag_ms.is_some());
    }

    fn push_work(&mut self, usage: &Usage<'_>) {
        self.service.push(usage.service);
        self.engine.push(usage.engine);
        self.variant.push(usage.variant);
        self.country.push(usage.country);
        self.unit.push(usage.unit);
        self.quantity.push(usage.quantity_micros);
        self.event_id.push(usage.event_id);
        self.booth_id.push(usage.booth_id);
        self.operation_id.push(usage.operation_id);
        self.attempt.push(usage.attempt);
        self.price_version.push(usage.price_version);
        self.price_model.push(usage.price_model);
        self.unit_price.push(usage.unit_price_micros);
        self.provider_cost.push(usage.provider_cost_micros.unwrap_or_default());
        self.has_provider_cost.push(usage.provider_cost_micros.is_some());
        self.hold_id.push(usage.hold_id);
        self.test_mode.push(usage.test_mode);
    }
}
