//! Entries as rows of ClickHouse, as the sink makes them.

use serde_json::Value;
use tollbooth_schemas::account_state::AccountState;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{BudgetRule, Entry, LedgerRecord, RechargeSet, Usage, recharge_set::Size};

use crate::stand::partition_of;

fn decimal(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micros.abs() / 1_000_000, micros.abs() % 1_000_000)
}

/// A row of `ledger`.
pub(crate) fn row(record: &LedgerRecord, entry: &Entry) -> Value {
    let mut row = serde_json::json!({
        "account_id": record.account_id, "seq": entry.seq, "type": entry.entry_type().unwrap().code(),
        "amount": decimal(entry.amount_micros), "balance_after": decimal(entry.balance_after_micros),
        "held_after": decimal(entry.held_after_micros),
        "posted_at": tollbooth_schemas::time::rfc3339(record.posted_at_ms).trim_end_matches('Z').replace('T', " "),
        "occurred_at": tollbooth_schemas::time::rfc3339(entry.occurred_at_ms).trim_end_matches('Z').replace('T', " "),
    });
    let more = match entry.kind.as_ref().unwrap() {
        Kind::AccountOpened(opened) => serde_json::json!({
            "currency": opened.currency, "time_zone": opened.time_zone, "plan": opened.plan, "account_name": opened.name,
        }),
        Kind::Usage(usage) => work(record, entry, usage),
        Kind::Repriced(repriced) => {
            let charge = repriced.charge.as_deref().cloned().unwrap_or_default();
            let mut row = work(record, entry, &charge);
            row["reason"] = if repriced.undo { "repricing_undone" } else { "repricing" }.into();
            row["note"] = repriced.repricing_id.as_str().into();
            row["original_seq"] = repriced.replaced_seq.into();
            row
        }
        Kind::HoldPlaced(hold) => serde_json::json!({
            "service": hold.service, "engine": hold.engine, "variant": hold.variant, "unit": hold.unit, "plan": hold.plan,
            "quantity": decimal(hold.quantity_micros), "event_id": hold.event_id, "booth_id": hold.booth_id,
            "price_version": hold.price_version, "hold_id": hold.hold_id,
        }),
        Kind::PlanFee(fee) => {
            serde_json::json!({"plan": fee.plan, "reason": fee.period, "price_version": fee.price_version})
        }
        Kind::Adjustment(adjustment) => serde_json::json!({"reason": adjustment.reason, "note": adjustment.note}),
        Kind::EventDefined(defined) => serde_json::json!({
            "event_id": defined.event_id, "note": defined.name,
            "account_state": AccountState::EventDefined {
                starts_at_ms: defined.starts_at_ms,
                ends_at_ms: defined.ends_at_ms,
                time_zone: defined.time_zone.as_str().into(),
                budget_micros: defined.budget_micros,
                refuses_holds: defined.on_exceeded() == BudgetRule::RefuseHolds,
            }
            .text(),
        }),
        Kind::ProfileSet(set) => serde_json::json!({"account_name": set.name, "time_zone": set.time_zone}),
        Kind::BoothSet(set) => serde_json::json!({
            "booth_id": set.booth_id, "note": set.name, "reason": if set.paused { "paused" } else { "" },
        }),
        Kind::BonusGranted(granted) => serde_json::json!({
            "account_state": AccountState::BonusGranted { expires_at_ms: granted.expires_at_ms }.text(),
        }),
        Kind::Reversal(reversal) => serde_json::json!({
            "service": reversal.service, "engine": reversal.engine, "variant": reversal.variant, "unit": reversal.unit,
            "plan": reversal.plan, "quantity": decimal(reversal.quantity_micros), "original_seq": reversal.original_seq,
            "operation_id": reversal.operation_id, "event_id": reversal.event_id, "booth_id": reversal.booth_id,
            "reason": reversal.reason, "note": reversal.note, "attempt": reversal.attempt,
            "price_version": reversal.price_version, "test_mode": reversal.test_mode,
        }),
        Kind::BonusExpired(expired) => serde_json::json!({"original_seq": expired.granted_seq}),
        Kind::CreditLimitSet(set) => serde_json::json!({
            "account_state": AccountState::CreditLimitSet { credit_limit_micros: set.credit_limit_micros }.text(),
        }),
        Kind::RechargeSet(set) => serde_json::json!({"detail": rule(set).to_string()}),
        Kind::RechargeRequested(requested) => serde_json::json!({
            "note": requested.recharge_id,
            "detail": serde_json::json!({
                "amount_micros": requested.amount_micros, "day_ends_at_ms": requested.day_ends_at_ms,
                "month_ends_at_ms": requested.month_ends_at_ms,
            }).to_string(),
        }),
        Kind::RechargeFailed(failed) => serde_json::json!({
            "note": failed.recharge_id, "reason": failed.reason,
            "detail": serde_json::json!({"failures": failed.failures, "retry_at_ms": failed.retry_at_ms}).to_string(),
        }),
        Kind::AlertsSet(set) => serde_json::json!({
            "detail": serde_json::json!({
                "balance_below_micros": set.balance_below_micros, "below_top_up_percents": set.below_top_up_percents,
                "event_budget_percents": set.event_budget_percents, "recharge_failed": set.recharge_failed,
                "empty_in_hours": set.empty_in_hours,
                "booth_spike": set.booth_spike.as_ref().map(|spike| {
                    serde_json::json!({"times": spike.times, "at_least_micros": spike.at_least_micros})
                }),
            }).to_string(),
        }),
        Kind::AlertRaised(alert) => serde_json::json!({
            "note": alert.recharge_id, "event_id": alert.event_id, "booth_id": alert.booth_id,
            "reason": (["", "balance_below", "below_top_up_percent", "event_budget", "recharge_failed", "empty_soon",
                        "booth_spike"][usize::try_from(alert.kind).unwrap()]),
            "detail": serde_json::json!({
                "number": alert.number, "balance_micros": alert.balance_micros, "crossed_at_ms": alert.crossed_at_ms,
                "crossed_seq": alert.crossed_seq, "failure": alert.reason, "hours": alert.hours,
                "percent": alert.percent, "spent_micros": alert.spent_micros,
                "threshold_micros": alert.threshold_micros, "hour_at_ms": alert.hour_at_ms,
                "usual_micros": alert.usual_micros, "times": alert.times,
            }).to_string(),
        }),
        _ => serde_json::json!({}),
    };
    row["from_bonus"] = decimal(entry.from_bonus_micros).into();
    if let Some(Kind::PlanChanged(changed)) = &entry.kind {
        row["plan"] = changed.plan.as_str().into();
        row["plan_effective_at_ms"] = changed.effective_at_ms.into();
    }
    row["source_topic"] = ["", "usage", "commands"][usize::try_from(entry.source_topic).unwrap()].into();
    row["source_offset"] = entry.source_offset.into();
    row["source_partition"] = partition_of(&record.account_id).into();
    row["actor"] = entry.command.as_ref().map(|command| command.actor.clone()).unwrap_or_default().into();
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

/// The columns of work that was done.
fn work(record: &LedgerRecord, entry: &Entry, usage: &Usage) -> Value {
    serde_json::json!({
        "status": if entry.is_failed() { "failed" } else { "success" }, "service": usage.service,
        "engine": usage.engine, "variant": usage.variant, "unit": usage.unit, "plan": usage.plan,
        "quantity": decimal(usage.quantity_micros), "event_id": usage.event_id, "booth_id": usage.booth_id,
        "operation_id": usage.operation_id, "price_version": usage.price_version, "reason": usage.error_code,
        "attempt": usage.attempt, "country": usage.country, "unit_price": decimal(usage.unit_price_micros),
        "detail": usage.pricing.as_deref().map(tollbooth_schemas::pricing::text).unwrap_or_default(),
        "price_model": (["", "per_unit", "flat", "package", "graduated", "volume"][usize::try_from(usage.price_model).unwrap()]),
        "provider_cost": decimal(usage.provider_cost_micros.unwrap_or_default()),
        "has_provider_cost": usage.provider_cost_micros.is_some(),
        "receipt_lag_ms": record.posted_at_ms - usage.received_at_ms,
        "capture_lag_ms": usage.captured_at_ms.map_or(0, |at_ms| entry.occurred_at_ms - at_ms),
        "has_captured_at": usage.captured_at_ms.is_some(), "hold_id": usage.hold_id, "test_mode": usage.test_mode,
    })
}

/// What is set of a rule.
fn rule(set: &RechargeSet) -> Value {
    let mut rule = serde_json::json!({
        "enabled": set.enabled, "threshold_micros": set.threshold_micros, "daily_cap_micros": set.daily_cap_micros,
        "monthly_cap_micros": set.monthly_cap_micros,
        "amount_max_micros": set.amount_max_micros,
    });
    match set.size {
        Some(Size::AmountMicros(micros)) => rule["amount_micros"] = micros.into(),
        Some(Size::TargetMicros(micros)) => rule["target_micros"] = micros.into(),
        None => {}
    }
    rule
}
