//! What an alert says, wherever it was read.

use serde::{Deserialize, Serialize};
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::time::{serde_rfc3339, serde_rfc3339_option};
use tollbooth_schemas::v1::{AlertKind, AlertRaised};
use utoipa::ToSchema;

use crate::amount::AmountBody;

/// An alert, beyond what its row says. The names are those of its row's `detail`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// Code of its kind, the row's `reason`.
    #[serde(skip)]
    pub kind: String,
    /// 1, 2, 3 ... per account.
    pub number: u64,
    /// After the entry that crossed it.
    pub balance_micros: i64,
    /// When that was posted.
    pub crossed_at_ms: i64,
    /// The entry that crossed it.
    pub crossed_seq: u64,
    /// The booth that spends, in its row a column.
    #[serde(skip)]
    pub booth_id: String,
    /// Why a recharge failed.
    pub failure: String,
    /// When the booth's hour began.
    pub hour_at_ms: i64,
    /// What the rule names; of a booth how many hours its average is of.
    pub hours: u32,
    /// Of the last purchase, or of the budget.
    pub percent: u32,
    /// The recharge that failed, the row's `note`.
    #[serde(skip)]
    pub recharge_id: String,
    /// On the event, in the last 24 hours, or by the booth in its hour.
    pub spent_micros: i64,
    /// What the balance fell below; of an event its budget; what a booth's hour reached.
    pub threshold_micros: i64,
    /// How many times its average hour the rule names.
    pub times: u32,
    /// What the booth spent in an hour before, on average.
    pub usual_micros: i64,
}

impl Alert {
    /// As an entry says it.
    #[must_use]
    pub fn of_entry(raised: &AlertRaised) -> Self {
        Self {
            kind: kind_code(raised.kind()).to_owned(),
            number: raised.number,
            balance_micros: raised.balance_micros,
            crossed_at_ms: raised.crossed_at_ms,
            crossed_seq: raised.crossed_seq,
            booth_id: raised.booth_id.clone(),
            failure: raised.reason.clone(),
            hour_at_ms: raised.hour_at_ms,
            hours: raised.hours,
            percent: raised.percent,
            recharge_id: raised.recharge_id.clone(),
            spent_micros: raised.spent_micros,
            threshold_micros: raised.threshold_micros,
            times: raised.times,
            usual_micros: raised.usual_micros,
        }
    }

    /// As its row says it.
    ///
    /// # Errors
    /// When the detail is none of an alert.
    pub fn of_row(kind: &str, recharge_id: &str, booth_id: &str, detail: &str) -> Result<Self, serde_json::Error> {
        let alert: Self = serde_json::from_str(detail)?;
        let (kind, recharge_id, booth_id) = (kind.to_owned(), recharge_id.to_owned(), booth_id.to_owned());
        Ok(Self { kind, recharge_id, booth_id, ..alert })
    }
}

/// As the sink writes it into `reason`.
pub(super) const fn kind_code(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Unspecified => "",
        AlertKind::BalanceBelow => "balance_below",
        AlertKind::BelowTopUpPercent => "below_top_up_percent",
        AlertKind::EventBudget => "event_budget",
        AlertKind::RechargeFailed => "recharge_failed",
        AlertKind::EmptySoon => "empty_soon",
        AlertKind::BoothSpike => "booth_spike",
    }
}

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertBody {
    /// Of its entry.
    entry_id: String,
    /// 1, 2, 3 ... per account.
    number: u64,
    #[schema(examples("balance_below"))]
    kind: String,
    /// When it was crossed.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: i64,
    /// By which entry.
    crossed_by: String,
    balance: AmountBody,
    /// What the balance fell below; of an event its budget; what a booth's hour reached.
    threshold: Option<AmountBody>,
    percent: Option<u32>,
    event_id: Option<String>,
    /// On the event, in the last 24 hours, or by the booth in its hour.
    spent: Option<AmountBody>,
    /// What the rule names; of a booth how many hours its average is of.
    hours: Option<u32>,
    recharge_id: Option<String>,
    /// Why a recharge failed.
    reason: Option<String>,
    booth_id: Option<String>,
    /// When the booth's hour began.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    hour: Option<i64>,
    /// What the booth spent in an hour before, on average.
    usual: Option<AmountBody>,
    /// How many times its average hour the rule names.
    times: Option<u32>,
}

impl AlertBody {
    /// Of the alert that is entry `seq`; `event_id` is empty where it is of none.
    pub(crate) fn new(account_id: &str, currency: &str, seq: u64, event_id: &str, alert: Alert) -> Self {
        let money = |micros: i64| AmountBody::new(micros, currency);
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (is_event, is_failure) = (alert.kind == "event_budget", alert.kind == "recharge_failed");
        let (is_empty, is_spike) = (alert.kind == "empty_soon", alert.kind == "booth_spike");
        Self {
            entry_id: entry_id(account_id, seq),
            number: alert.number,
            at: alert.crossed_at_ms,
            crossed_by: entry_id(account_id, alert.crossed_seq),
            balance: money(alert.balance_micros),
            threshold: (!is_failure && !is_empty).then(|| money(alert.threshold_micros)),
            percent: Some(alert.percent).filter(|percent| *percent > 0),
            event_id: text(event_id),
            spent: (is_event || is_empty || is_spike).then(|| money(alert.spent_micros)),
            hours: Some(alert.hours).filter(|hours| *hours > 0),
            recharge_id: text(&alert.recharge_id),
            reason: text(&alert.failure),
            booth_id: text(&alert.booth_id),
            hour: is_spike.then_some(alert.hour_at_ms),
            usual: is_spike.then(|| money(alert.usual_micros)),
            times: Some(alert.times).filter(|times| *times > 0),
            kind: alert.kind,
        }
    }
}
