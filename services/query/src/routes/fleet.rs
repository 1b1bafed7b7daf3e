//! `GET /v1/fleet/usage`: all accounts together, for an admin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono_tz::Tz;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use utoipa::ToSchema;

use super::price_book::currency;
use super::timeline::Asked;
use super::usage::{self, CUT, NARROW_ANY, UsageBody};
use super::{Api, Timer, private};
use crate::answers::Told;
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::AdminProblems;
use crate::params::ParameterKind::{Choice, Text};
use crate::params::{Parameter, Params, parameters};
use crate::store::{GroupBy, Scope};

/// Groups that stay apart where nothing is said.
const TOP_DEFAULT: usize = 10;
const CURRENCY_DEFAULT: &str = "USD";

/// Which instants, in which currency, and by what they are split.
const WHOLE: &[Parameter] = &[
    Parameter { name: "from", kind: Text, about: "First instant: RFC 3339, or a local date in `tz`." },
    Parameter { name: "to", kind: Text, about: "First instant after the range, written as `from`." },
    Parameter { name: "tz", kind: Text, about: "IANA zone of dates and buckets; by default UTC." },
    Parameter {
        name: "currency",
        kind: Text,
        about: "ISO 4217: only accounts in it, by default USD. Currencies are not added.",
    },
    Parameter {
        name: "group_by",
        kind: Choice(|| GroupBy::FLEET_CODES.map(|(code, _)| code).to_vec()),
        about: "Splits every bucket into the `top` groups of the range, 10 by default, and the others.",
    },
];

parameters! {
    /// Of this route.
    FleetUsageParams = WHOLE, CUT, NARROW_ANY
}

/// What all accounts of a currency spent, over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FleetUsage)]
struct FleetUsageBody {
    currency: String,
    #[serde(flatten)]
    usage: UsageBody,
}

/// Usage of all accounts over time
#[utoipa::path(
    get,
    path = "/v1/fleet/usage",
    operation_id = "get_fleet_usage",
    tag = "Fleet",
    params(FleetUsageParams),
    responses((status = 200, description = "Sums by bucket and group", body = FleetUsageBody), AdminProblems),
    security(("key" = []))
)]
pub(super) async fn usage(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let mut timer = Timer::start(&api.metrics, Endpoint::FleetUsage);
    let params = Params::parse(&uri, FleetUsageParams::GROUPS)?;
    api.access.read_all(&headers)?;
    let now_ms = now_ms();
    let zone = usage::zone(&params, Tz::UTC.name())?;
    let range = usage::range(&params, zone, now_ms)?;
    let bucket = usage::bucket(&params, range)?;
    timer.bucket(bucket);
    let filter = usage::usage_filter(&params)?;
    let currency = currency(&params)?.unwrap_or(CURRENCY_DEFAULT);
    let group_by = usage::group_by(&params, &GroupBy::FLEET_CODES)?;
    let top = usage::top(&params, group_by)?;
    let asked = Asked {
        scope: Scope::Fleet { currency },
        currency,
        zone,
        bucket,
        group_by,
        measure: usage::measure(&params, true)?,
        top: top.or(group_by.map(|_| TOP_DEFAULT)),
        filter: &filter,
        is_admin: true,
        now_ms,
    };
    let ranges = usage::ranges(asked, range, usage::compare(&params)?);
    let mut told = Vec::with_capacity(ranges.len());
    for question in usage::questions(asked, &ranges, &api.config.limits)? {
        told.push(match api.asker.tell(&question).await? {
            Told::Whole(rows) => Some(question.shape(rows)),
            Told::Shaped(rows) => Some(rows),
            Told::TooMany => None,
        });
    }
    let (usage, rows) = usage::body(asked, &api.config.limits, &ranges, told, &api.prices.names())?;
    timer.done(rows);
    private(&FleetUsageBody { currency: currency.to_owned(), usage })
}
