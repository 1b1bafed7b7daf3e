//! `GET /v1/fleet/drift`: whether what is shown contradicts itself, for an admin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::serde_rfc3339_option;
use utoipa::ToSchema;

use super::parties::instant;
use super::{Api, Timer, private};
use crate::amount::AmountBody;
use crate::live::LiveView;
use crate::metrics::Endpoint;
use crate::openapi::AdminProblems;
use crate::params::{Params, parameters};
use crate::store::DriftRow;

parameters! {
    /// Of this route.
    DriftParams = &[]
}

/// What the drift watch last found: the sums behind balances, lists and charts against each other.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
struct DriftBody {
    /// When the watch that looks now began. What one before it knew it has to find anew. Null: none has looked yet.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    began_at: Option<i64>,
    /// When it last looked. It does so all the time, at some accounts a turn.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    looked_at: Option<i64>,
    /// When it had last looked at every account. Null: not since it began.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    passed_at: Option<i64>,
    data: Vec<KindBody>,
}

/// A place where figures can contradict each other.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DriftKind)]
struct KindBody {
    /// `ledger_chain`: an account's entries among themselves; `balance_vs_ledger`: the kept balance against the last entry;
    /// `rollup_vs_ledger`: the sums of charts and breakdowns against the entries.
    kind: String,
    /// Accounts that are off; anything but 0 is a defect.
    accounts: u64,
    /// Up to 20 of them, those that are off the most first.
    examples: Vec<ExampleBody>,
}

/// An account that is off.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DriftExample)]
struct ExampleBody {
    account_id: String,
    /// Null: no account of this id was ever opened.
    name: Option<String>,
    /// How far it is off; 0 where only counts differ. Null: no account of this id was ever opened.
    off: Option<AmountBody>,
}

impl ExampleBody {
    fn new(view: &LiveView, (account_id, micros): (String, u64)) -> Self {
        let (balance, facts) = view.account(&account_id).unzip();
        let off = balance.map(|balance| AmountBody::new(micros, &balance.profile.currency));
        Self { account_id, name: facts.map(|facts| facts.name), off }
    }
}

/// Whether figures contradict each other
///
/// From the watch that compares them all the time. That every entry is what its record says, only `tollbooth-meter verify`
/// proves.
#[utoipa::path(
    get,
    path = "/v1/fleet/drift",
    operation_id = "get_fleet_drift",
    tag = "Fleet",
    params(DriftParams),
    responses((status = 200, description = "What was last found", body = DriftBody), AdminProblems),
    security(("key" = []))
)]
pub(super) async fn get(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::FleetDrift);
    Params::parse(&uri, DriftParams::GROUPS)?;
    api.access.read_all(&headers)?;
    let rows = api.store.drift().await?;
    // All kinds are written at once; of two watches that overlap the older word counts.
    let of = |at: fn(&DriftRow) -> i64| rows.iter().map(at).min().and_then(instant);
    let (began_at, looked_at, passed_at) =
        (of(|row| row.began_at_ms), of(|row| row.looked_at_ms), of(|row| row.passed_at_ms));
    let kind = |row: DriftRow| KindBody {
        kind: row.kind,
        accounts: row.accounts,
        examples: row.examples.into_iter().map(|example| ExampleBody::new(&api.view, example)).collect(),
    };
    let data: Vec<KindBody> = rows.into_iter().map(kind).collect();
    timer.done(data.len());
    private(&DriftBody { began_at, looked_at, passed_at, data })
}
