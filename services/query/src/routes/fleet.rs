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
use super::usage::{self, AskedTimeline, CUT, NARROW_ANY, UsageBody};
use super::{Api, Timer, given, kept, key_of};
use crate::answers::OfAll;
use crate::calendar::QUARTER_MS;
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
///
/// Given again as it is for ten seconds, unless the service is configured otherwise.
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
    timer.bucket(usage::bucket_of(&params, (Tz::UTC.name(), now_ms))?);
    let AskedFleet { timeline, currency } = AskedFleet::parse(&params, now_ms)?;
    let limits = &api.config.limits;
    let questions = timeline.questions(Scope::Fleet { currency: &currency }, now_ms, limits.buckets_max)?;
    let names = api.prices.names();
    let request = OfAll {
        key: key_of(&uri, true),
        questions: questions.clone(),
        quarter: now_ms.div_euclid(QUARTER_MS),
        names: Arc::clone(&names),
    };
    let render = |rows| {
        let asked = timeline.asked(&currency, true, now_ms);
        let (usage, rows) = usage::body(asked, limits, &timeline.ranges(now_ms), rows, &names)?;
        kept(&FleetUsageBody { currency: currency.clone(), usage }, rows)
    };
    let kept = api.answers.get_of_all(request, api.asker.clone().ask_of_all(questions), render).await?;
    timer.done(kept.rows);
    Ok(given(kept))
}

/// What the parameters of the fleet's timeline ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedFleet {
    /// What is cut and split.
    pub timeline: AskedTimeline,
    /// ISO 4217: only accounts in it.
    pub currency: String,
}

impl AskedFleet {
    /// Its parameters.
    pub const PARAMS: &[&[Parameter]] = FleetUsageParams::GROUPS;

    /// Reads them, for an admin.
    ///
    /// # Errors
    /// 400 for what is not a parameter's value.
    pub fn parse(params: &Params, now_ms: i64) -> Result<Self, Problem> {
        let mut timeline = AskedTimeline::parse(params, &GroupBy::FLEET_CODES, (Tz::UTC.name(), now_ms), true)?;
        timeline.top = timeline.top.or(timeline.group_by.map(|_| TOP_DEFAULT));
        let currency = currency(params)?.unwrap_or(CURRENCY_DEFAULT).to_owned();
        Ok(Self { timeline, currency })
    }
}
