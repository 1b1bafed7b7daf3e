//! What endpoints are told of an effect.

use serde_json::{Map, Value, json};
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::v1::{
    AlertKind, AlertRaised, OutboxRecord, PurchasePosted, RechargeFailed, outbox_record::Effect,
};
use tollbooth_schemas::{Amount, Money};

/// A message before it is on its way to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) message_id: String,
    pub(super) event_type: &'static str,
    pub(super) body: String,
}

impl Message {
    /// `None`: the effect is nothing that endpoints are told of.
    pub(super) fn of(record: &OutboxRecord) -> Option<Self> {
        let money = |micros: i64| {
            let amount = Money::from_micros(micros).unwrap_or_default();
            json!(Amount { amount, currency: record.currency.clone() })
        };
        let (event_type, at_ms, mut data) = match record.effect.as_ref()? {
            Effect::AlertRaised(alert) => (alert_type(alert.kind())?, alert.crossed_at_ms, alert_data(alert, money)),
            Effect::RechargeFailed(failed) => ("recharge.failed", record.posted_at_ms, failure_data(failed, money)),
            Effect::PurchasePosted(posted) => ("purchase.succeeded", record.posted_at_ms, purchase_data(posted, money)),
            Effect::RechargeRequested(_) => return None,
        };
        data.insert("account_id".to_owned(), json!(record.account_id));
        data.insert("entry_id".to_owned(), json!(entry_id(&record.account_id, record.seq)));
        let body = json!({"type": event_type, "timestamp": rfc3339(at_ms), "data": data}).to_string();
        // A function of the entry: read again, it is the same message.
        Some(Self { message_id: format!("msg_{}_{}", record.account_id, record.seq), event_type, body })
    }
}

const fn alert_type(kind: AlertKind) -> Option<&'static str> {
    Some(match kind {
        AlertKind::BalanceBelow => "alert.balance_below",
        AlertKind::BelowTopUpPercent => "alert.below_top_up_percent",
        AlertKind::EventBudget => "alert.event_budget",
        AlertKind::RechargeFailed => "alert.recharge_failed",
        AlertKind::EmptySoon => "alert.empty_soon",
        AlertKind::BoothSpike => "alert.booth_spike",
        AlertKind::Unspecified => return None,
    })
}

/// Members that a kind has nothing to say about are not there.
fn alert_data(alert: &AlertRaised, money: impl Fn(i64) -> Value) -> Map<String, Value> {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("number", json!(alert.number));
    put("balance", money(alert.balance_micros));
    match alert.kind() {
        AlertKind::BalanceBelow => {
            put("threshold", money(alert.threshold_micros));
        }
        AlertKind::BelowTopUpPercent => {
            put("threshold", money(alert.threshold_micros));
            put("percent", json!(alert.percent));
        }
        AlertKind::EventBudget => {
            put("event_id", json!(alert.event_id));
            put("percent", json!(alert.percent));
            put("budget", money(alert.threshold_micros));
            put("spent", money(alert.spent_micros));
        }
        AlertKind::RechargeFailed => {
            put("recharge_id", json!(alert.recharge_id));
            put("reason", json!(alert.reason));
        }
        AlertKind::EmptySoon => {
            put("hours", json!(alert.hours));
            put("spent_in_24_hours", money(alert.spent_micros));
        }
        AlertKind::BoothSpike => {
            put("booth_id", json!(alert.booth_id));
            put("hour", json!(rfc3339(alert.hour_at_ms)));
            put("spent", money(alert.spent_micros));
            put("threshold", money(alert.threshold_micros));
            put("usual", money(alert.usual_micros));
            put("usual_of_hours", json!(alert.hours));
            put("times", json!(alert.times));
        }
        AlertKind::Unspecified => {}
    }
    data
}

fn failure_data(failed: &RechargeFailed, money: impl Fn(i64) -> Value) -> Map<String, Value> {
    let members = [
        ("recharge_id", json!(failed.recharge_id)),
        ("reason", json!(failed.reason)),
        ("failures", json!(failed.failures)),
        ("amount", money(failed.amount_micros)),
        ("retry_at", json!(rfc3339(failed.retry_at_ms))),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn purchase_data(posted: &PurchasePosted, money: impl Fn(i64) -> Value) -> Map<String, Value> {
    let purchase = posted.purchase.clone().unwrap_or_default();
    let is_auto = purchase.source() == tollbooth_schemas::v1::PurchaseSource::AutoRecharge;
    let members = [
        ("payment_id", json!(purchase.payment_id)),
        ("source", json!(if is_auto { "auto_recharge" } else { "manual" })),
        ("amount", money(posted.amount_micros)),
        ("balance", money(posted.balance_micros)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(effect: Effect) -> OutboxRecord {
        OutboxRecord {
            account_id: "acc_luna".to_owned(),
            seq: 17,
            posted_at_ms: 1_795_292_103_000,
            currency: "USD".to_owned(),
            effect: Some(effect),
        }
    }

    #[test]
    fn an_alert_says_what_was_crossed() {
        let alert = AlertRaised {
            number: 3,
            kind: AlertKind::EventBudget.into(),
            crossed_at_ms: 1_795_292_103_000,
            balance_micros: 12_340_000,
            threshold_micros: 100_000_000,
            percent: 80,
            event_id: "evt_gala".to_owned(),
            spent_micros: 80_000_000,
            ..AlertRaised::default()
        };
        let message = Message::of(&record(Effect::AlertRaised(alert))).unwrap();
        assert_eq!((&*message.message_id, message.event_type), ("msg_acc_luna_17", "alert.event_budget"));
        let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let expected = json!({"type": "alert.event_budget", "timestamp": "2026-11-21T20:15:03.000Z", "data": {
            "account_id": "acc_luna", "entry_id": "ent_acc_luna_17", "number": 3, "balance": usd("12.34"),
            "event_id": "evt_gala", "percent": 80, "budget": usd("100.00"), "spent": usd("80.00")}});
        assert_eq!(serde_json::from_str::<Value>(&message.body).unwrap(), expected);
    }

    #[test]
    fn a_spike_says_which_booth_and_what_it_is_held_against() {
        let alert = AlertRaised {
            number: 4,
            kind: AlertKind::BoothSpike.into(),
            crossed_at_ms: 1_795_292_103_000,
            balance_micros: 12_340_000,
            threshold_micros: 20_000_000,
            spent_micros: 20_160_000,
            hours: 24,
            booth_id: "bth_17".to_owned(),
            hour_at_ms: 1_795_291_200_000,
            usual_micros: 1_234_567,
            times: 5,
            ..AlertRaised::default()
        };
        let message = Message::of(&record(Effect::AlertRaised(alert))).unwrap();
        let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let expected = json!({"type": "alert.booth_spike", "timestamp": "2026-11-21T20:15:03.000Z", "data": {
            "account_id": "acc_luna", "entry_id": "ent_acc_luna_17", "number": 4, "balance": usd("12.34"),
            "booth_id": "bth_17", "hour": "2026-11-21T20:00:00.000Z", "spent": usd("20.16"), "threshold": usd("20.00"),
            "usual": usd("1.234567"), "usual_of_hours": 24, "times": 5}});
        assert_eq!(serde_json::from_str::<Value>(&message.body).unwrap(), expected);
        assert!(tollbooth_schemas::webhooks::EVENT_TYPES.contains(&message.event_type));
    }

    #[test]
    fn purchases_and_failures_are_told_and_requests_are_not() {
        let told = |effect| Message::of(&record(effect)).map(|message| message.event_type);
        assert_eq!(told(Effect::PurchasePosted(PurchasePosted::default())), Some("purchase.succeeded"));
        assert_eq!(told(Effect::RechargeFailed(RechargeFailed::default())), Some("recharge.failed"));
        assert_eq!(told(Effect::RechargeRequested(Default::default())), None);
        assert_eq!(
            told(Effect::AlertRaised(AlertRaised::default())),
            None,
            "of a kind that this release does not know"
        );
    }
}
