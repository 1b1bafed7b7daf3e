//! `GET /v1/accounts/{account_id}/summary`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono_tz::Tz;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::serde_rfc3339;
use utoipa::ToSchema;

use super::usage::{RANGE, range, zone};
use super::{AWAIT, Api, Timer};
use crate::amount::AmountBody;
use crate::answers::{Question, Sums, Whose};
use crate::calendar::{TimeRange, edge_text, previous};
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Parameter, Params, parameters};
use crate::prices::Names;
use crate::store::{GroupBy, Kinds, UsageFilter, UsageRow};

parameters! {
    /// Of this route.
    SummaryParams = RANGE, AWAIT
}

/// What became of the money in a period, and in the one before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Summary)]
struct SummaryBody {
    account_id: String,
    /// Now, whatever the period.
    balance: AmountBody,
    /// The newest entry of the balance.
    seq: u64,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    as_of: i64,
    tz: &'static str,
    period: PeriodBody,
    /// The period before, like for like: of a period under way as much as has gone by.
    previous: PeriodBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SummaryPeriod)]
struct PeriodBody {
    from: String,
    to: String,
    /// Spent, positive, net of what was given back.
    used: AmountBody,
    /// Bought, by hand or by rule.
    purchased: AmountBody,
    /// `used` less `purchased`: how much more was spent than bought.
    net_usage: AmountBody,
    /// Everything else that changed the balance: bonuses, corrections, plan fees.
    other: AmountBody,
    /// Successful operations net of reversals.
    operations: i64,
    /// Failed operations.
    failures: i64,
}

/// The four figures of a period
///
/// Balance, used, purchased and net usage, for the period (by default this month so far) and the one before. Where the
/// header `Tollbooth-Seq` is there, the figures are those of the balance's own entry.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/summary",
    operation_id = "get_summary",
    tag = "Accounts",
    params(AccountPath, SummaryParams),
    responses(
        (status = 200, description = "The figures", body = SummaryBody),
        AccountProblems
    ),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Summary);
    let params = Params::parse(&uri, SummaryParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let now_ms = now_ms();
    let AskedSummary { zone, range, before } = AskedSummary::parse(&params, &profile.time_zone, now_ms)?;
    let questions = [range, before].map(|range| question(&account_id, range)).to_vec();
    let body = |Sums { rows, balance, .. }: Sums, _: &Names| {
        let currency = &balance.profile.currency;
        let rows: Vec<Vec<UsageRow>> = rows.into_iter().map(Option::unwrap_or_default).collect();
        let count = rows.iter().map(Vec::len).sum();
        let of =
            |index: usize, range| period(rows.get(index).map(Vec::as_slice).unwrap_or_default(), range, zone, currency);
        let body = SummaryBody {
            balance: AmountBody::new(balance.balance_micros, currency),
            seq: balance.seq,
            as_of: balance.as_of_ms,
            tz: zone.name(),
            period: of(0, range),
            previous: of(1, before),
            account_id: account_id.clone(),
        };
        Ok((body, count))
    };
    let (response, rows) = api.sums(&account_id, reader, (&uri, zone), questions, now_ms, body).await?;
    timer.done(rows);
    Ok(response)
}

/// What the parameters of a summary ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedSummary {
    /// Of dates.
    pub zone: Tz,
    /// The period.
    pub range: TimeRange,
    /// The one before.
    pub before: TimeRange,
}

impl AskedSummary {
    /// Its parameters.
    pub const PARAMS: &[&[Parameter]] = SummaryParams::GROUPS;

    /// Reads them. Where they name no zone or no range, `default_zone` and `now_ms` say which.
    ///
    /// # Errors
    /// 400 for what is not a parameter's value.
    pub fn parse(params: &Params, default_zone: &str, now_ms: i64) -> Result<Self, Problem> {
        let zone = zone(params, default_zone)?;
        let range = range(params, zone, now_ms)?;
        Ok(Self { zone, range, before: previous(range, zone, now_ms) })
    }
}

/// What moved money in a range, by type of entry: there are fewer types than a question may have groups.
fn question(account_id: &str, range: TimeRange) -> Question {
    Question {
        whose: Whose::Account(account_id.to_owned()),
        kinds: Kinds::All,
        range: Some(range),
        starts_ms: Vec::new(),
        group_by: Some(GroupBy::Type),
        filter: UsageFilter::default(),
        top: None,
    }
}

/// The figures of a period from its sums by type, which are positive where the balance went down.
fn period(rows: &[UsageRow], range: TimeRange, zone: Tz, currency: &str) -> PeriodBody {
    let (mut used, mut purchased, mut other) = (0_i128, 0_i128, 0_i128);
    let (mut operations, mut failures) = (0, 0);
    for row in rows {
        match row.group_key.as_str() {
            "consume" | "refund" | "reversal" | "repriced" => {
                used += row.spent_micros;
                operations += row.succeeded;
                failures += row.failures;
            }
            "purchase" | "auto_recharge" => purchased -= row.spent_micros,
            _ => other -= row.spent_micros,
        }
    }
    let money = |micros: i128| AmountBody::new(micros, currency);
    PeriodBody {
        from: edge_text(range.from_ms, zone),
        to: edge_text(range.to_ms, zone),
        used: money(used),
        purchased: money(purchased),
        net_usage: money(used - purchased),
        other: money(other),
        operations,
        failures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_in_one_figure() {
        let row = |entry_type: &str, succeeded, failures, spent_micros| UsageRow {
            start_ms: 0,
            group_key: entry_type.to_owned(),
            succeeded,
            failures,
            quantity_micros: 0,
            spent_micros,
            cost_micros: 0,
            newest_seq: 0,
        };
        let rows = [
            row("consume", 10, 2, 5_000_000),
            row("reversal", -2, 0, -900_000),
            row("repriced", 1, 0, 400_000),
            row("refund", -1, 0, -250_000),
            row("purchase", 1, 0, -50_000_000),
            row("auto_recharge", 1, 0, -100_000_000),
            row("bonus", 1, 0, -1_000_000),
            row("plan_fee", 1, 0, 39_000_000),
        ];
        let body = period(&rows, TimeRange { from_ms: 0, to_ms: 1 }, Tz::UTC, "USD");
        let body = serde_json::to_value(body).unwrap();
        let figures = ["used", "purchased", "net_usage", "other"].map(|name| body[name]["amount"].as_str().unwrap());
        assert_eq!(figures, ["4.25", "150.00", "-145.75", "-38.00"]);
        assert_eq!([&body["operations"], &body["failures"]], [8, 2]);
    }
}
