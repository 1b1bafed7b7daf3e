//! `GET /v1/accounts/{account_id}/alerts`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::{serde_rfc3339, serde_rfc3339_option};
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer, private};
use crate::activity::{Alert, AlertBody};
use crate::amount::AmountBody;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Params, parameters};
use crate::store::{AlertRow, Back, StoreError};

/// Alerts that are shown.
const RECENT_MAX: usize = 50;
/// An amount is armed anew a twentieth above it, and at least this much.
const MARGIN_MIN_MICROS: i64 = 1_000_000;

parameters! {
    /// Of this route.
    AlertsParams = AWAIT
}

/// What the account is told of, and what it was told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alerts)]
struct AlertsBody {
    /// As they were set; null: never.
    rules: Option<RulesBody>,
    /// Of every rule about the account as a whole. Events and booths stand in `recent` alone.
    states: Vec<StateBody>,
    /// The newest alerts, newest first, at most 50.
    recent: Vec<AlertBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertRules)]
struct RulesBody {
    /// Told when the balance falls below one of these.
    balance_below: Vec<AmountBody>,
    /// Told when the balance falls below so many hundredths of the last purchase.
    below_top_up_percent: Vec<u32>,
    /// Told when an event's spend reaches so many hundredths of its budget.
    event_budget_percent: Vec<u32>,
    /// Told when a recharge fails, the first time in a row.
    recharge_failed: bool,
    /// Told when the balance would last for less than so many hours.
    empty_in_hours: Option<u32>,
    /// Told when a booth spends so many times its average hour, and at least so much.
    booth_spike: Option<SpikeBody>,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    set_at: i64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BoothSpikeRule)]
struct SpikeBody {
    times: u32,
    at_least: AmountBody,
}

/// How a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AlertState)]
struct StateBody {
    kind: &'static str,
    threshold: Option<AmountBody>,
    percent: Option<u32>,
    /// Null where only the ledger's fold knows (time to empty).
    state: Option<RuleState>,
    /// When it was last told of since it was set.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    fired_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RuleState {
    /// The next crossing is told.
    Armed,
    /// Told, and not back.
    Fired,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Rules {
    balance_below_micros: Vec<i64>,
    below_top_up_percents: Vec<u32>,
    event_budget_percents: Vec<u32>,
    recharge_failed: bool,
    empty_in_hours: Option<u32>,
    booth_spike: Option<Spike>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Spike {
    times: u32,
    at_least_micros: i64,
}

fn parse<'a, T: Deserialize<'a>>(detail: &'a str) -> Result<T, Problem> {
    serde_json::from_str(detail).map_err(Problem::internal)
}

fn alert(row: &AlertRow) -> Result<Alert, Problem> {
    Alert::of_row(&row.reason, &row.note, &row.booth_id, &row.detail).map_err(Problem::internal)
}

/// A rule, and the newest alert of it.
struct Told<'a> {
    kind: &'static str,
    amount_micros: Option<i64>,
    percent: Option<u32>,
    alert: Option<&'a AlertRow>,
    /// Below what it was told, then.
    threshold_micros: i64,
}

/// Every rule about the account as a whole, with the newest alert since it was set.
fn told<'a>(rules: &Rules, set_seq: u64, rows: &'a [AlertRow]) -> Result<Vec<Told<'a>>, Problem> {
    let mut all: Vec<Told<'a>> = Vec::new();
    let rule = |kind, amount_micros, percent| Told { kind, amount_micros, percent, alert: None, threshold_micros: 0 };
    all.extend(rules.balance_below_micros.iter().map(|amount| rule("balance_below", Some(*amount), None)));
    all.extend(rules.below_top_up_percents.iter().map(|percent| rule("below_top_up_percent", None, Some(*percent))));
    all.extend(rules.recharge_failed.then(|| rule("recharge_failed", None, None)));
    all.extend(rules.empty_in_hours.map(|_| rule("empty_soon", None, None)));
    for row in rows {
        let detail = alert(row)?;
        // Raised by the rules before these, it may stand after them.
        if detail.crossed_seq < set_seq {
            continue;
        }
        let fits = |rule: &&mut Told<'_>| {
            rule.kind == row.reason
                && rule.amount_micros.is_none_or(|amount| amount == detail.threshold_micros)
                && rule.percent.is_none_or(|percent| percent == detail.percent)
                && rule.alert.is_none()
        };
        if let Some(rule) = all.iter_mut().find(fits) {
            (rule.alert, rule.threshold_micros) = (Some(row), detail.threshold_micros);
        }
    }
    Ok(all)
}

async fn state(api: &Api, account_id: &str, rule: &Told<'_>) -> Result<Option<RuleState>, StoreError> {
    let Some(alert) = rule.alert else { return Ok((rule.kind != "empty_soon").then_some(RuleState::Armed)) };
    let is_armed = match rule.kind {
        "empty_soon" => return Ok(None),
        "recharge_failed" => api.store.recharged_after(account_id, alert.seq).await?,
        _ => {
            let threshold_micros = rule.threshold_micros;
            let margin_micros = (threshold_micros / 20).max(MARGIN_MIN_MICROS);
            let after_seq = self::alert(alert).map_or(0, |alert| alert.crossed_seq);
            let back = Back { after_seq, threshold_micros, margin_micros };
            api.store.is_back(account_id, back).await?
        }
    };
    Ok(Some(if is_armed { RuleState::Armed } else { RuleState::Fired }))
}

/// Alerts
///
/// From history, which is a moment behind: name the `seq` of a command's answer as `min_seq` to see what it did.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/alerts",
    operation_id = "get_alerts",
    tag = "Accounts",
    params(AccountPath, AlertsParams),
    responses((status = 200, description = "The rules, how they stand, and what was told", body = AlertsBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Alerts);
    let params = Params::parse(&uri, AlertsParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let balance = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?;
    let currency = &*balance.profile.currency;
    api.wait_until_sunk(&account_id, reader.awaited).await?;
    let (set, rows) = tokio::try_join!(api.store.alert_rules(&account_id), api.store.alerts(&account_id))?;
    let rules: Rules = set.as_ref().map(|row| parse(&row.detail)).transpose()?.unwrap_or_default();
    let money = |micros: i64| AmountBody::new(micros, currency);
    let mut states = Vec::new();
    for rule in told(&rules, set.as_ref().map_or(0, |row| row.seq), &rows)? {
        states.push(StateBody {
            kind: rule.kind,
            threshold: rule.amount_micros.map(money),
            percent: rule.percent,
            state: state(&api, &account_id, &rule).await?,
            fired_at: rule.alert.map(|alert| alert.posted_at),
        });
    }
    let recent = rows.iter().take(RECENT_MAX);
    let recent = recent.map(|row| Ok(AlertBody::new(&account_id, currency, row.seq, &row.event_id, alert(row)?)));
    let body = AlertsBody {
        states,
        recent: recent.collect::<Result<_, Problem>>()?,
        rules: set.map(|row| RulesBody {
            balance_below: rules.balance_below_micros.iter().copied().map(money).collect(),
            below_top_up_percent: rules.below_top_up_percents,
            event_budget_percent: rules.event_budget_percents,
            recharge_failed: rules.recharge_failed,
            empty_in_hours: rules.empty_in_hours,
            booth_spike: rules
                .booth_spike
                .map(|spike| SpikeBody { times: spike.times, at_least: money(spike.at_least_micros) }),
            set_at: row.posted_at,
        }),
    };
    timer.done(rows.len());
    private(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: u64, kind: &str, detail: &str) -> AlertRow {
        AlertRow {
            seq,
            posted_at: i64::try_from(seq).unwrap(),
            reason: kind.to_owned(),
            note: String::new(),
            event_id: String::new(),
            booth_id: String::new(),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn rules_of_before_there_were_some_about_booths_are_read() {
        let older = r#"{"balance_below_micros":[5],"below_top_up_percents":[],"empty_in_hours":48,"event_budget_percents":[],"recharge_failed":false}"#;
        let expected =
            Rules { balance_below_micros: vec![5], empty_in_hours: Some(48), booth_spike: None, ..Rules::default() };
        assert_eq!(parse::<Rules>(older).unwrap(), expected);
        let newer = r#"{"booth_spike":{"at_least_micros":20000000,"times":5}}"#;
        let spike = Some(Spike { times: 5, at_least_micros: 20_000_000 });
        assert_eq!(parse::<Rules>(newer).unwrap(), Rules { booth_spike: spike, ..Rules::default() });
    }

    #[test]
    fn the_newest_alert_since_the_rules_were_set_is_the_rules_own() {
        let rules = Rules {
            balance_below_micros: vec![5, 9],
            below_top_up_percents: vec![10],
            recharge_failed: true,
            ..Rules::default()
        };
        // given alerts newest first: one was crossed before the rules stood
        let rows = [
            row(12, "balance_below", r#"{"crossed_seq":11,"threshold_micros":9}"#),
            row(10, "balance_below", r#"{"crossed_seq":9,"threshold_micros":9}"#),
            row(8, "below_top_up_percent", r#"{"crossed_seq":7,"percent":10,"threshold_micros":33}"#),
            row(6, "balance_below", r#"{"crossed_seq":3,"threshold_micros":5}"#),
        ];
        let told = told(&rules, 4, &rows).unwrap();
        let found: Vec<_> =
            told.iter().map(|rule| (rule.kind, rule.alert.map(|row| row.seq), rule.threshold_micros)).collect();
        assert_eq!(
            found,
            [
                ("balance_below", None, 0),
                ("balance_below", Some(12), 9),
                ("below_top_up_percent", Some(8), 33),
                ("recharge_failed", None, 0),
            ]
        );
    }
}
