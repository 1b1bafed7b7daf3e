//! What an account wants to be told of: a whole document, the newest one counts.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::Money;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::v1::{self, command::Body};

use super::check::Check;
use super::{Asker, account_of_path, answer, receive};
use crate::app::{App, parse_json};

/// As the ledger takes them.
const AMOUNTS_MAX: usize = 10;
const PERCENTS_MAX: usize = 5;
const TOP_UP_PERCENT_MAX: u32 = 100;
const BUDGET_PERCENT_MAX: u32 = 1_000;
const HOURS_MAX: u32 = 720;
const SPIKE_TIMES: RangeInclusive<u32> = 2..=100;

/// `PUT /v1/accounts/{account_id}/alerts`; what is absent is not told. Lists may come in any order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SetAlerts {
    balance_below: Vec<Money>,
    below_top_up_percent: Vec<u32>,
    event_budget_percent: Vec<u32>,
    recharge_failed: bool,
    empty_in_hours: Option<u32>,
    booth_spike: Option<BoothSpike>,
}

/// Both are named: there is no amount that suits everybody.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoothSpike {
    times: u32,
    at_least: Money,
}

impl SetAlerts {
    fn into_command(mut self) -> Result<Body, Problem> {
        let mut check = Check::default();
        let amounts = &mut self.balance_below;
        amounts.sort_unstable();
        let in_bounds = amounts.len() <= AMOUNTS_MAX && amounts.iter().all(|amount| !amount.is_negative());
        let detail = format!("must be at most {AMOUNTS_MAX} amounts, none below 0 and each once");
        check.that(in_bounds && amounts.is_sorted_by(|one, next| one < next), "/balance_below", &detail);
        let percents = [
            (&mut self.below_top_up_percent, TOP_UP_PERCENT_MAX, "/below_top_up_percent"),
            (&mut self.event_budget_percent, BUDGET_PERCENT_MAX, "/event_budget_percent"),
        ];
        for (percents, most, pointer) in percents {
            percents.sort_unstable();
            let in_bounds =
                percents.len() <= PERCENTS_MAX && percents.iter().all(|percent| (1..=most).contains(percent));
            let detail = format!("must be at most {PERCENTS_MAX} whole numbers of 1 to {most}, each once");
            check.that(in_bounds && percents.is_sorted_by(|one, next| one < next), pointer, &detail);
        }
        let hours = self.empty_in_hours.is_none_or(|hours| (1..=HOURS_MAX).contains(&hours));
        check.that(hours, "/empty_in_hours", &format!("must be 1 to {HOURS_MAX}"));
        if let Some(spike) = &self.booth_spike {
            let detail = format!("must be {} to {}", SPIKE_TIMES.start(), SPIKE_TIMES.end());
            check.that(SPIKE_TIMES.contains(&spike.times), "/booth_spike/times", &detail);
            check.that(!spike.at_least.is_negative(), "/booth_spike/at_least", "must not be below 0");
        }
        check.conclude(Body::SetAlerts(v1::SetAlerts {
            alerts: Some(v1::AlertsSet {
                balance_below_micros: self.balance_below.into_iter().map(Money::micros).collect(),
                below_top_up_percents: self.below_top_up_percent,
                event_budget_percents: self.event_budget_percent,
                recharge_failed: self.recharge_failed,
                empty_in_hours: self.empty_in_hours,
                booth_spike: self
                    .booth_spike
                    .map(|spike| v1::BoothSpike { times: spike.times, at_least_micros: spike.at_least.micros() }),
            }),
        }))
    }
}

/// `PUT /v1/accounts/{account_id}/alerts`
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, Asker::AccountOf(&account, Scope::Settings), Duration::ZERO, request).await?;
    let account_id = account_of_path(&account)?;
    let document: SetAlerts = parse_json(&call.headers, &call.body)?;
    let command = document.into_command()?;
    let reply = call.carry_out(&app, &account_id, "set_alerts", command).await?;
    answer::answer(&account_id, reply, StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command(document: serde_json::Value) -> Result<Body, Problem> {
        serde_json::from_value::<SetAlerts>(document).unwrap().into_command()
    }

    #[test]
    fn marks_come_in_any_order_and_go_in_theirs() {
        let document = json!({"balance_below": ["20.00", "5"], "event_budget_percent": [100, 80], "empty_in_hours": 48,
                   "booth_spike": {"times": 5, "at_least": "20.00"}});
        let expected = v1::AlertsSet {
            balance_below_micros: vec![5_000_000, 20_000_000],
            event_budget_percents: vec![80, 100],
            empty_in_hours: Some(48),
            booth_spike: Some(v1::BoothSpike { times: 5, at_least_micros: 20_000_000 }),
            ..v1::AlertsSet::default()
        };
        assert_eq!(command(document).unwrap(), Body::SetAlerts(v1::SetAlerts { alerts: Some(expected) }));
        for nothing in [json!({}), json!({"booth_spike": null, "empty_in_hours": null})] {
            let expected = v1::SetAlerts { alerts: Some(v1::AlertsSet::default()) };
            assert_eq!(command(nothing).unwrap(), Body::SetAlerts(expected));
        }
    }

    #[test]
    fn half_a_rule_about_booths_is_no_document() {
        for document in [json!({"times": 5}), json!({"at_least": "1"}), json!({"times": 2.5, "at_least": "1"})] {
            assert!(serde_json::from_value::<SetAlerts>(json!({"booth_spike": document})).is_err(), "{document}");
        }
    }

    #[test]
    fn marks_that_contradict_themselves_are_named() {
        for (document, pointer) in [
            (json!({"balance_below": ["5", "5.00"]}), "/balance_below"),
            (json!({"balance_below": ["-1"]}), "/balance_below"),
            (json!({"balance_below": vec!["1"; 11]}), "/balance_below"),
            (json!({"below_top_up_percent": [101]}), "/below_top_up_percent"),
            (json!({"below_top_up_percent": [0]}), "/below_top_up_percent"),
            (json!({"event_budget_percent": [1, 2, 3, 4, 5, 6]}), "/event_budget_percent"),
            (json!({"empty_in_hours": 721}), "/empty_in_hours"),
            (json!({"booth_spike": {"times": 1, "at_least": "0"}}), "/booth_spike/times"),
            (json!({"booth_spike": {"times": 101, "at_least": "0"}}), "/booth_spike/times"),
            (json!({"booth_spike": {"times": 5, "at_least": "-0.01"}}), "/booth_spike/at_least"),
        ] {
            let problem = command(document.clone()).unwrap_err();
            assert!(format!("{problem:?}").contains(pointer), "{document}: {problem:?}");
        }
    }
}
