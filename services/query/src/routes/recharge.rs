//! `GET /v1/accounts/{account_id}/recharge`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::{DAY_MS, serde_rfc3339, serde_rfc3339_option};
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer, private};
use crate::amount::AmountBody;
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Params, parameters};
use crate::store::RechargeRow;

/// How far back is looked: the longest month, and the week that an answer may take.
const WINDOW_MS: i64 = 40 * DAY_MS;

parameters! {
    /// Of this route.
    RechargeParams = AWAIT
}

/// How credit is bought by itself, and how that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recharge)]
struct RechargeBody {
    enabled: bool,
    /// Bought when less than this is available.
    threshold: AmountBody,
    /// What is bought each time.
    amount: Option<AmountBody>,
    /// Instead of `amount`: as much as brings what is available up to this.
    target: Option<AmountBody>,
    /// Most that is bought in a day of the account's zone; null: no bound, which only a rule of an earlier release has.
    daily_cap: Option<AmountBody>,
    /// Most that is bought in a month of the account's zone; null: no bound.
    monthly_cap: Option<AmountBody>,
    state: RechargeState,
    /// The newest failure, unless something was bought or the rule was set since.
    last_failure: Option<FailureBody>,
    /// When it is tried again after a failure.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<i64>,
    /// Bought or asked for today, in the account's zone: what the daily cap counts.
    spent_today: AmountBody,
    /// Bought or asked for in this month, in the account's zone: what the monthly cap counts.
    spent_this_month: AmountBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RechargeState {
    Off,
    Idle,
    InFlight,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RechargeFailure)]
struct FailureBody {
    /// The payment provider's code, or `no_answer`.
    #[schema(examples("card_declined"))]
    reason: String,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: i64,
    /// How many in a row.
    failures: u32,
}

/// What the entries' details say; what one does not say is its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Detail {
    enabled: bool,
    threshold_micros: i64,
    amount_micros: Option<i64>,
    target_micros: Option<i64>,
    daily_cap_micros: Option<i64>,
    monthly_cap_micros: Option<i64>,
    day_ends_at_ms: i64,
    month_ends_at_ms: i64,
    failures: u32,
    retry_at_ms: i64,
}

impl Detail {
    fn of(row: &RechargeRow) -> Result<Self, Problem> {
        serde_json::from_str(&row.detail).map_err(Problem::internal)
    }
}

/// What the entries come to.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    rule: Detail,
    state: RechargeState,
    last_failure: Option<FailureBody>,
    next_attempt_at: Option<i64>,
    today_micros: i128,
    this_month_micros: i128,
}

impl Standing {
    /// `entries` are oldest first.
    fn of(rule: Option<&RechargeRow>, entries: &[RechargeRow], now_ms: i64) -> Result<Self, Problem> {
        let set_seq = rule.map_or(0, |rule| rule.seq);
        let rule = rule.map(Detail::of).transpose()?.unwrap_or_default();
        let mut under_way = None;
        let (mut failure, mut retry_at) = (None, None);
        let (mut today_micros, mut this_month_micros) = (0_i128, 0_i128);
        for entry in entries {
            let amount = |detail: &Detail| i128::from(detail.amount_micros.unwrap_or_default());
            match entry.r#type.as_str() {
                "recharge_requested" => under_way = Some((entry.note.as_str(), Detail::of(entry)?)),
                "recharge_failed" => {
                    let detail = Detail::of(entry)?;
                    retry_at = Some(detail.retry_at_ms);
                    let (reason, failures) = (entry.reason.clone(), detail.failures);
                    failure = Some((entry.seq, FailureBody { reason, at: entry.posted_at, failures }));
                    under_way = None;
                    continue;
                }
                _ if under_way.as_ref().is_some_and(|(id, _)| *id == entry.note) => {
                    (under_way, failure, retry_at) = (None, None, None);
                    continue;
                }
                _ => continue,
            }
            // A request counts until it fails: what comes next says whether it did.
            let fails = entries.iter().any(|other| other.r#type == "recharge_failed" && other.note == entry.note);
            if let Some((_, detail)) = under_way.as_ref().filter(|_| !fails) {
                // The newest windows are the current ones, or over.
                today_micros += if detail.day_ends_at_ms > now_ms { amount(detail) } else { 0 };
                this_month_micros += if detail.month_ends_at_ms > now_ms { amount(detail) } else { 0 };
            }
        }
        let last_failure = failure.filter(|(seq, _)| *seq > set_seq).map(|(_, failure)| failure);
        let state = match (&under_way, &last_failure) {
            (Some(_), _) => RechargeState::InFlight,
            (None, _) if !rule.enabled => RechargeState::Off,
            (None, Some(_)) => RechargeState::Failed,
            (None, None) => RechargeState::Idle,
        };
        let next_attempt_at = retry_at.filter(|_| state == RechargeState::Failed);
        Ok(Self { rule, state, last_failure, next_attempt_at, today_micros, this_month_micros })
    }

    fn body(self, currency: &str) -> RechargeBody {
        let money = |micros: i64| AmountBody::new(micros, currency);
        RechargeBody {
            enabled: self.rule.enabled,
            threshold: money(self.rule.threshold_micros),
            amount: self.rule.amount_micros.map(money),
            target: self.rule.target_micros.map(money),
            daily_cap: self.rule.daily_cap_micros.map(money),
            monthly_cap: self.rule.monthly_cap_micros.map(money),
            state: self.state,
            last_failure: self.last_failure,
            next_attempt_at: self.next_attempt_at,
            spent_today: AmountBody::new(self.today_micros, currency),
            spent_this_month: AmountBody::new(self.this_month_micros, currency),
        }
    }
}

/// Buying credit by itself
///
/// From history, which is a moment behind: name the `seq` of a command's answer as `min_seq` to see what it did.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/recharge",
    operation_id = "get_recharge",
    tag = "Accounts",
    params(AccountPath, RechargeParams),
    responses((status = 200, description = "The rule and how it stands", body = RechargeBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Recharge);
    let params = Params::parse(&uri, RechargeParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let balance = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?;
    api.wait_until_sunk(&account_id, reader.awaited).await?;
    let now_ms = now_ms();
    let (rule, entries) = tokio::try_join!(
        api.store.recharge_rule(&account_id),
        api.store.recharges(&account_id, now_ms.saturating_sub(WINDOW_MS))
    )?;
    let body = Standing::of(rule.as_ref(), &entries, now_ms)?.body(&balance.profile.currency);
    timer.done(entries.len());
    private(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn row(seq: u64, r#type: &str, note: &str, detail: &str) -> RechargeRow {
        let reason = if r#type == "recharge_failed" { "card_declined" } else { "" };
        RechargeRow {
            seq,
            r#type: r#type.to_owned(),
            posted_at: i64::try_from(seq).unwrap(),
            reason: reason.to_owned(),
            note: note.to_owned(),
            detail: detail.to_owned(),
        }
    }

    fn rule(seq: u64, enabled: bool) -> RechargeRow {
        let detail = format!(r#"{{"amount_micros":50000000,"enabled":{enabled},"threshold_micros":20000000}}"#);
        row(seq, "recharge_set", "", &detail)
    }

    /// Of a day and a month that end then.
    fn asked(seq: u64, id: &str, day_ends: i64, month_ends: i64) -> RechargeRow {
        let detail = format!(
            r#"{{"amount_micros":50000000,"available_micros":-1,"day_ends_at_ms":{day_ends},"month_ends_at_ms":{month_ends},"threshold_micros":20000000}}"#
        );
        row(seq, "recharge_requested", id, &detail)
    }

    fn failed(seq: u64, id: &str, failures: u32) -> RechargeRow {
        let detail = format!(r#"{{"amount_micros":50000000,"failures":{failures},"retry_at_ms":{}}}"#, NOW + 7);
        row(seq, "recharge_failed", id, &detail)
    }

    fn bought(seq: u64, id: &str) -> RechargeRow {
        row(seq, "auto_recharge", id, "")
    }

    fn state(rule: Option<(u64, bool)>, entries: &[RechargeRow]) -> (RechargeState, Option<u32>, Option<i64>, i128) {
        let rule = rule.map(|(seq, enabled)| self::rule(seq, enabled));
        let standing = Standing::of(rule.as_ref(), entries, NOW).unwrap();
        let failures = standing.last_failure.map(|failure| failure.failures);
        (standing.state, failures, standing.next_attempt_at, standing.today_micros / 1_000_000)
    }

    #[test]
    fn the_state_follows_the_entries() {
        use RechargeState::{Failed, Idle, InFlight, Off};
        let (day, month) = (NOW + 10, NOW + 20);
        assert_eq!(state(None, &[]), (Off, None, None, 0));
        assert_eq!(state(Some((3, true)), &[]), (Idle, None, None, 0));
        let mut entries = vec![asked(4, "rch_1", day, month)];
        assert_eq!(state(Some((3, true)), &entries), (InFlight, None, None, 50));
        entries.push(failed(5, "rch_1", 1));
        assert_eq!(state(Some((3, true)), &entries), (Failed, Some(1), Some(NOW + 7), 0));
        entries.push(asked(6, "rch_2", day, month));
        assert_eq!(state(Some((3, true)), &entries), (InFlight, Some(1), None, 50));
        // Switched off, what is under way is still under way.
        assert_eq!(state(Some((7, false)), &entries), (InFlight, None, None, 50));
        entries.push(bought(8, "rch_2"));
        assert_eq!(state(Some((3, true)), &entries), (Idle, None, None, 50));
        assert_eq!(state(Some((7, false)), &entries), (Off, None, None, 50));
        // A failure before the rule was set anew is forgotten.
        entries.extend([asked(9, "rch_3", day, month), failed(10, "rch_3", 1)]);
        assert_eq!(state(Some((11, true)), &entries), (Idle, None, None, 50));
        // Money of one that was given up counts as money, and ends nothing.
        entries.extend([asked(12, "rch_4", day, month), bought(13, "rch_3")]);
        assert_eq!(state(Some((11, true)), &entries), (InFlight, None, None, 100));
    }

    #[test]
    fn what_was_bought_counts_until_its_day_and_its_month_end() {
        let entries = [
            asked(4, "rch_1", NOW - 5, NOW),
            bought(5, "rch_1"),
            asked(6, "rch_2", NOW, NOW + 20),
            bought(7, "rch_2"),
            asked(8, "rch_3", NOW + 1, NOW + 20),
            bought(9, "rch_3"),
        ];
        let standing = Standing::of(Some(&rule(3, true)), &entries, NOW).unwrap();
        assert_eq!((standing.today_micros, standing.this_month_micros), (50_000_000, 100_000_000));
    }
}
