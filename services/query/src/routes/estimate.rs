//! `GET /v1/accounts/{account_id}/events/{event_id}/estimate`

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::{EventId, Quantity};
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer, private};
use crate::amount::{AmountBody, QuantityText};
use crate::calendar::TimeRange;
use crate::clock::now_ms;
use crate::estimate::{Line, Seen, lines, operations};
use crate::metrics::Endpoint;
use crate::openapi::{AccountProblems, EventPath};
use crate::params::ParameterKind::{Number, Text};
use crate::params::{Parameter, Params, bad_parameter, parameters};
use crate::prices::Names;
use crate::store::{GroupBy, Keep, Kinds, Scope, UsageFilter, UsageQuery};

const GUESTS_MAX: u64 = 1_000_000;
/// 1.25: what the trade plans with.
const PER_GUEST_MICROS: u64 = 1_250_000;
const PER_GUEST_MICROS_MAX: u64 = 100_000_000;
/// An event with fewer operations says too little of what it is like.
const OPERATIONS_MIN: i64 = 20;
const DAYS_30_MS: i64 = 30 * 86_400_000;
/// More kinds of work than there are.
const KINDS_MAX: usize = 5_000;

parameters! {
    /// Of this route.
    EstimateParams = &[
        Parameter { name: "guests", kind: Number(1, GUESTS_MAX), about: "How many come. Needed." },
        Parameter {
            name: "operations_per_guest",
            kind: Text,
            about: "A decimal above 0, at most 100, with at most 6 places; by default 1.25.",
        },
    ], AWAIT
}

/// What a party will cost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Estimate)]
struct EstimateBody {
    guests: u64,
    #[schema(value_type = String, examples("1.25"))]
    operations_per_guest: QuantityText,
    basis: BasisBody,
    /// Largest amount first; empty where nothing was seen that it could be like.
    lines: Vec<LineBody>,
    total: AmountBody,
    /// The balance less what is held.
    available: AmountBody,
    /// Whether it covers the total.
    enough: bool,
    /// What it lacks; null where it is enough.
    missing: Option<AmountBody>,
}

/// What the mix is taken from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EstimateBasis)]
struct BasisBody {
    kind: BasisKind,
    /// Successful operations in it.
    count: i64,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = EstimateBasisKind)]
enum BasisKind {
    /// The event itself, where it has 20 operations or more.
    #[serde(rename = "event")]
    Event,
    /// Everything of the account in the last 30 days.
    #[serde(rename = "account_30_days")]
    Account30Days,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EstimateLine)]
struct LineBody {
    service: String,
    engine: String,
    variant: Option<String>,
    /// Service and engine as people read them.
    name: String,
    /// What the quantity counts; null where no price says it.
    unit: Option<String>,
    /// Its part of all operations, from 0 to 1.
    #[schema(value_type = String, examples("0.7"))]
    share: QuantityText,
    /// Operations.
    count: i64,
    #[schema(value_type = String, examples("131"))]
    quantity: QuantityText,
    /// Today's price on the account's plan; null where there is not one: it counts as it did so far.
    unit_price: Option<AmountBody>,
    amount: AmountBody,
}

/// What a party will cost
///
/// Guests times operations per guest, in the mix of the event so far or of the account's last 30 days, at today's prices.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/events/{event_id}/estimate",
    operation_id = "get_estimate",
    tag = "Events",
    params(EventPath, EstimateParams),
    responses((status = 200, description = "The estimate", body = EstimateBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path((account_id, event_id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Estimate);
    let params = Params::parse(&uri, EstimateParams::GROUPS)?;
    // It shows what the whole account has and does: nothing for a token of one event.
    let reader = api.open(&headers, &account_id, &params).await?;
    event_id.parse::<EventId>().map_err(|_| Problem::not_found("no such event"))?;
    let AskedEstimate { guests, per_guest_micros } = AskedEstimate::parse(&params)?;
    let (balance, facts) = api.view.account(&account_id).ok_or_else(|| api.missing(&account_id))?;
    api.ensure_prices()?;
    api.wait_until_sunk(&account_id, reader.awaited).await?;
    let now_ms = now_ms();
    let (basis, seen) = basis(&api, &account_id, &event_id, now_ms).await?;
    let book = api.prices.current(now_ms, Some(&balance.profile.currency)).map(|(book, _)| book);
    let mut lines = lines(seen, operations(guests, per_guest_micros), &facts.plan.code, book.as_ref(), now_ms);
    lines.sort_by_key(|line| (Reverse(line.amount_micros), line.seen.service.clone(), line.seen.engine.clone()));
    let money = |micros: i128| AmountBody::new(micros, &balance.profile.currency);
    let total_micros: i128 = lines.iter().map(|line| line.amount_micros).sum();
    let available_micros = i128::from(balance.balance_micros) - i128::from(balance.held_micros);
    let names = api.prices.names();
    let body = EstimateBody {
        guests,
        operations_per_guest: QuantityText(per_guest_micros.into()),
        basis,
        lines: lines.into_iter().map(|line| of_line(line, &names, &balance.profile.currency)).collect(),
        total: money(total_micros),
        available: money(available_micros),
        enough: available_micros >= total_micros,
        missing: (available_micros < total_micros).then(|| money(total_micros - available_micros)),
    };
    timer.done(body.lines.len());
    private(&body)
}

/// What the parameters of an estimate ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedEstimate {
    /// How many come: 1 to 1,000,000.
    pub guests: u64,
    /// Operations of each, in millionths: above 0, at most 100 operations.
    pub per_guest_micros: u64,
}

impl AskedEstimate {
    /// Its parameters.
    pub const PARAMS: &[&[Parameter]] = EstimateParams::GROUPS;

    /// Reads them.
    ///
    /// # Errors
    /// 400 for what is not a parameter's value, and without guests.
    pub fn parse(params: &Params) -> Result<Self, Problem> {
        let guests = params.number("guests", 1..=GUESTS_MAX)?.ok_or_else(|| bad_parameter("guests", "is needed"))?;
        Ok(Self { guests, per_guest_micros: per_guest(params)? })
    }
}

fn per_guest(params: &Params) -> Result<u64, Problem> {
    let Some(text) = params.one("operations_per_guest")? else { return Ok(PER_GUEST_MICROS) };
    let given = text.parse::<Quantity>().ok().and_then(|quantity| u64::try_from(quantity.micros()).ok());
    given
        .filter(|micros| (1..=PER_GUEST_MICROS_MAX).contains(micros))
        .ok_or_else(|| bad_parameter("operations_per_guest", "must be a decimal above 0, at most 100"))
}

fn of_line(line: Line, names: &Names, currency: &str) -> LineBody {
    let Line { seen, share_micros, count, quantity_micros, unit, unit_price_micros, amount_micros } = line;
    LineBody {
        name: names.work(&seen.service, &seen.engine).unwrap_or_default(),
        variant: Some(seen.variant).filter(|variant| !variant.is_empty()),
        service: seen.service,
        engine: seen.engine,
        unit: Some(unit).filter(|unit| !unit.is_empty()),
        share: QuantityText(share_micros),
        count,
        quantity: QuantityText(quantity_micros),
        unit_price: unit_price_micros.map(|micros| AmountBody::new(micros, currency)),
        amount: AmountBody::new(amount_micros, currency),
    }
}

/// The mix of the event, or of the account where the event has too little.
async fn basis(api: &Api, account_id: &str, event_id: &str, now_ms: i64) -> Result<(BasisBody, Vec<Seen>), Problem> {
    let of_event = UsageFilter { event_ids: vec![event_id.to_owned()], ..UsageFilter::default() };
    let own = seen(api, account_id, &of_event, None).await?;
    let count = |seen: &[Seen]| seen.iter().map(|seen| seen.count).sum::<i64>();
    if count(&own) >= OPERATIONS_MIN {
        return Ok((BasisBody { kind: BasisKind::Event, count: count(&own) }, own));
    }
    let range = TimeRange { from_ms: now_ms - DAYS_30_MS, to_ms: now_ms };
    let all = seen(api, account_id, &UsageFilter::default(), Some(range)).await?;
    Ok((BasisBody { kind: BasisKind::Account30Days, count: count(&all) }, all))
}

async fn seen(
    api: &Api,
    account_id: &str,
    filter: &UsageFilter,
    range: Option<TimeRange>,
) -> Result<Vec<Seen>, Problem> {
    let question = UsageQuery {
        scope: Scope::Account(account_id),
        kinds: Kinds::Spend,
        range,
        starts_ms: &[],
        group_by: Some(GroupBy::Work),
        keep: Keep::All,
        after_seq: None,
        filter,
        rows_max: KINDS_MAX,
    };
    let rows = api.store.usage(&question).await?.into_iter().map(|row| {
        let mut words = row.group_key.split('\0').map(str::to_owned);
        Seen {
            service: words.next().unwrap_or_default(),
            engine: words.next().unwrap_or_default(),
            variant: words.next().unwrap_or_default(),
            count: row.succeeded,
            quantity_micros: row.quantity_micros,
            spent_micros: row.spent_micros,
        }
    });
    Ok(rows.filter(|seen| seen.count > 0).collect())
}
