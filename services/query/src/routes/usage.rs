//! `GET /v1/accounts/{account_id}/usage`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono_tz::Tz;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::{BoothId, EventId};
use utoipa::ToSchema;

use super::timeline::{Asked, TimelineBody, cut};
use super::{AWAIT, Api, Timer};
use crate::answers::{Question, Sums, Top, Whose};
use crate::calendar::{Bucket, TimeRange, parse_edge, previous, resolve_range, resolve_zone};
use crate::clock::now_ms;
use crate::config::LimitsSection;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::ParameterKind::{Choice, ChoiceList, List, Number, Text};
use crate::params::{Parameter, Params, bad_parameter, parameters};
use crate::prices::Names;
use crate::store::{GroupBy, Kinds, Measure, Scope, UsageFilter, UsageRow};

/// Most groups that may stay apart.
const TOP_MAX: u64 = 100;

/// Which instants.
pub(super) const RANGE: &[Parameter] = &[
    Parameter { name: "from", kind: Text, about: "First instant: RFC 3339, or a local date in `tz`." },
    Parameter { name: "to", kind: Text, about: "First instant after the range, written as `from`." },
    Parameter { name: "tz", kind: Text, about: "IANA zone of dates and buckets; by default the account's." },
];

/// How the range is cut and ordered.
pub(super) const CUT: &[Parameter] = &[
    Parameter {
        name: "bucket",
        kind: Choice(|| Bucket::ALL.map(Bucket::code).into_iter().chain(["auto"]).collect()),
        about: "Size of a bucket by the zone's clocks and calendar; `auto` (default) follows the range.",
    },
    Parameter {
        name: "measure",
        kind: Choice(|| Measure::CODES.map(|(code, _)| code).to_vec()),
        about: "Orders groups, largest first; by default `amount`. `provider_cost` and `margin` need an admin key.",
    },
    Parameter {
        name: "top",
        kind: Number(1, TOP_MAX),
        about: "Only so many groups of the range stay apart, the largest; the others are one with a null key.",
    },
    Parameter {
        name: "compare",
        kind: Choice(|| vec!["previous"]),
        about: "Also the period before, like for like: of a range under way as much as has gone by.",
    },
];

/// By what it is split.
const SPLIT: &[Parameter] = &[Parameter {
    name: "group_by",
    kind: Choice(|| GroupBy::CODES.map(|(code, _)| code).to_vec()),
    about: "Splits every bucket; the key of what has none is empty.",
}];

/// What the sums of an account are narrowed to.
const NARROW: &[Parameter] = &[
    Parameter { name: "event_id", kind: List, about: "Only these events." },
    Parameter { name: "booth_id", kind: List, about: "Only these booths." },
];

/// What any sums are narrowed to.
pub(super) const NARROW_ANY: &[Parameter] = &[
    Parameter { name: "service", kind: List, about: "Only these services, by code." },
    Parameter { name: "engine", kind: List, about: "Only these engines, by code." },
    Parameter { name: "variant", kind: List, about: "Only these variants, by code." },
    Parameter { name: "plan", kind: List, about: "Only what was paid on these plans, by code." },
    Parameter { name: "status", kind: ChoiceList(|| vec!["success", "failed"]), about: "Only work that ended so." },
    Parameter {
        name: "type",
        kind: ChoiceList(|| SPEND_TYPES.to_vec()),
        about: "Only charges, or only what was given back. A charge that is made anew at another price is a reversal and a \
                repriced one.",
    },
];

const SPEND_TYPES: [&str; 4] = ["consume", "refund", "reversal", "repriced"];

parameters! {
    /// Of this route.
    UsageParams = RANGE, CUT, SPLIT, NARROW_ANY, NARROW, AWAIT
}

/// What was spent, over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageBody {
    #[serde(flatten)]
    pub(super) timeline: TimelineBody,
    pub(super) bucket: &'static str,
    pub(super) tz: &'static str,
    /// What groups are ordered by.
    pub(super) measure: &'static str,
    /// The period before, with `compare`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) previous: Option<TimelineBody>,
}

/// Usage over time
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/usage",
    operation_id = "get_usage",
    tag = "Usage",
    params(AccountPath, UsageParams),
    responses(
        (status = 200, description = "Sums by bucket and group", body = UsageBody),
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
    let mut timer = Timer::start(&api.metrics, Endpoint::Usage);
    let params = Params::parse(&uri, UsageParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let now_ms = now_ms();
    timer.bucket(bucket_of(&params, (&profile.time_zone, now_ms))?);
    let timeline = AskedTimeline::parse(&params, &GroupBy::CODES, (&profile.time_zone, now_ms), reader.is_admin)?;
    let limits = &api.config.limits;
    let questions = timeline.questions(Scope::Account(&account_id), now_ms, limits.buckets_max)?;
    let asked = timeline.asked(&profile.currency, reader.is_admin, now_ms);
    let body = |sums: Sums, names: &Names| body(asked, limits, &timeline.ranges(now_ms), sums.rows, names);
    let (response, rows) = api.sums(&account_id, reader, (&uri, timeline.zone), questions, now_ms, body).await?;
    timer.done(rows);
    Ok(response)
}

/// The bucket alone, by which a request is measured that is refused for something else as well.
pub(super) fn bucket_of(params: &Params, (default_zone, now_ms): (&str, i64)) -> Result<Bucket, Problem> {
    bucket(params, range(params, zone(params, default_zone)?, now_ms)?)
}

/// What the parameters of a timeline ask for, of an account or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedTimeline {
    /// Of dates and buckets.
    pub zone: Tz,
    /// Which instants.
    pub range: TimeRange,
    /// How they are cut.
    pub bucket: Bucket,
    /// By what each bucket is split.
    pub group_by: Option<GroupBy>,
    /// What orders the groups.
    pub measure: Measure,
    /// How many of them stay apart; `None`: each.
    pub top: Option<usize>,
    /// What the sums are narrowed to.
    pub filter: UsageFilter,
    /// Whether the period before is asked for as well.
    pub is_compared: bool,
}

impl AskedTimeline {
    /// Parameters of an account's timeline.
    pub const PARAMS: &[&[Parameter]] = UsageParams::GROUPS;

    /// Reads them. `codes` are what it can be split by; where they name no zone or no range, `default_zone` and `now_ms` say
    /// which.
    ///
    /// # Errors
    /// 400 for what is not a parameter's value, 403 for a measure that only an admin may see.
    pub fn parse(
        params: &Params,
        codes: &[(&str, GroupBy)],
        (default_zone, now_ms): (&str, i64),
        is_admin: bool,
    ) -> Result<Self, Problem> {
        let zone = zone(params, default_zone)?;
        let range = range(params, zone, now_ms)?;
        let group_by = group_by(params, codes)?;
        Ok(Self {
            zone,
            range,
            bucket: bucket(params, range)?,
            group_by,
            measure: measure(params, is_admin)?,
            top: top(params, group_by)?,
            filter: usage_filter(params)?,
            is_compared: compare(params)?,
        })
    }

    /// The range, and the period before if it is asked for.
    #[must_use]
    pub fn ranges(&self, now_ms: i64) -> Vec<TimeRange> {
        let before = self.is_compared.then(|| previous(self.range, self.zone, now_ms));
        std::iter::once(self.range).chain(before).collect()
    }

    /// What has to be asked: one question for each of the ranges, cut into its buckets.
    ///
    /// # Errors
    /// 400 `too_many_buckets`
    pub fn questions(&self, scope: Scope<'_>, now_ms: i64, buckets_max: usize) -> Result<Vec<Question>, Problem> {
        let whose = match scope {
            Scope::Account(account_id) => Whose::Account(account_id.to_owned()),
            Scope::Fleet { currency } => Whose::Fleet { currency: currency.to_owned() },
        };
        let question = |range| {
            let spans = cut(range, self.bucket, self.zone, now_ms, buckets_max)?;
            Ok(Question {
                whose: whose.clone(),
                kinds: Kinds::Spend,
                range: Some(range),
                starts_ms: spans.iter().map(|span| span.start_ms).collect(),
                group_by: self.group_by,
                filter: self.filter.clone(),
                top: self.top.map(|groups| Top { measure: self.measure, groups }),
            })
        };
        self.ranges(now_ms).into_iter().map(question).collect()
    }

    /// How it is answered.
    pub(super) fn asked<'a>(&self, currency: &'a str, is_admin: bool, now_ms: i64) -> Asked<'a> {
        let Self { zone, bucket, group_by, measure, top, .. } = *self;
        Asked { currency, zone, bucket, group_by, measure, top, is_admin, now_ms }
    }
}

/// The timelines of the ranges, and of how many rows they were made.
pub(super) fn body(
    asked: Asked<'_>,
    limits: &LimitsSection,
    ranges: &[TimeRange],
    rows: Vec<Option<Vec<UsageRow>>>,
    names: &Names,
) -> Result<(UsageBody, usize), Problem> {
    let mut timelines = Vec::with_capacity(ranges.len());
    let mut count = 0;
    for (range, rows) in ranges.iter().zip(rows) {
        let (timeline, more) = asked.answer(limits, *range, rows, names)?;
        timelines.push(timeline);
        count += more;
    }
    let mut timelines = timelines.into_iter();
    let timeline = timelines.next().ok_or_else(|| Problem::internal("a timeline without a range"))?;
    let measure = Measure::CODES.into_iter().find(|(_, measure)| *measure == asked.measure);
    let body = UsageBody {
        timeline,
        bucket: asked.bucket.code(),
        tz: asked.zone.name(),
        measure: measure.map_or("amount", |(code, _)| code),
        previous: timelines.next(),
    };
    Ok((body, count))
}

/// The zone of `tz`, or that of the account.
pub(super) fn zone(params: &Params, default_zone: &str) -> Result<Tz, Problem> {
    resolve_zone(params.one("tz")?, default_zone).map_err(|error| bad_parameter("tz", error.to_string()))
}

/// One end of a range.
pub(super) fn edge(params: &Params, name: &str, zone: Tz) -> Result<Option<i64>, Problem> {
    let Some(text) = params.one(name)? else { return Ok(None) };
    parse_edge(text, zone).map(Some).map_err(|error| bad_parameter(name, error.to_string()))
}

pub(super) fn range(params: &Params, zone: Tz, now_ms: i64) -> Result<TimeRange, Problem> {
    let (from_ms, to_ms) = (edge(params, "from", zone)?, edge(params, "to", zone)?);
    resolve_range(from_ms, to_ms, zone, now_ms).map_err(|error| bad_parameter("to", error.to_string()))
}

fn bucket(params: &Params, range: TimeRange) -> Result<Bucket, Problem> {
    match params.one("bucket")? {
        None | Some("auto") => Ok(Bucket::auto(range)),
        Some(code) => Bucket::from_code(code)
            .ok_or_else(|| bad_parameter("bucket", "must be 15m, hour, day, week, month, year or auto")),
    }
}

fn group_by(params: &Params, codes: &[(&str, GroupBy)]) -> Result<Option<GroupBy>, Problem> {
    let Some(code) = params.one("group_by")? else { return Ok(None) };
    let found = codes.iter().find(|(known, _)| *known == code);
    found.map(|(_, group_by)| Some(*group_by)).ok_or_else(|| {
        let known: Vec<&str> = codes.iter().map(|(known, _)| *known).collect();
        bad_parameter("group_by", format!("must be one of {}", known.join(", ")))
    })
}

fn measure(params: &Params, is_admin: bool) -> Result<Measure, Problem> {
    let Some(code) = params.one("measure")? else { return Ok(Measure::Amount) };
    let found = Measure::CODES.into_iter().find(|(known, _)| *known == code);
    match found {
        Some((_, measure)) if measure.is_confidential() && !is_admin => {
            Err(Problem::forbidden(format!("the measure {code} needs an admin key")))
        }
        Some((_, measure)) => Ok(measure),
        None => {
            Err(bad_parameter("measure", format!("must be one of {}", Measure::CODES.map(|(code, _)| code).join(", "))))
        }
    }
}

fn top(params: &Params, group_by: Option<GroupBy>) -> Result<Option<usize>, Problem> {
    let top = params.number("top", 1..=TOP_MAX)?.and_then(|top| usize::try_from(top).ok());
    match (top, group_by) {
        (Some(_), None) => Err(bad_parameter("top", "needs group_by")),
        (top, _) => Ok(top),
    }
}

fn compare(params: &Params) -> Result<bool, Problem> {
    match params.one("compare")? {
        None => Ok(false),
        Some("previous") => Ok(true),
        Some(_) => Err(bad_parameter("compare", "may be previous")),
    }
}

/// What the sums are narrowed to; parameters that a route does not take are absent.
fn usage_filter(params: &Params) -> Result<UsageFilter, Problem> {
    let filter = UsageFilter {
        services: params.list("service")?,
        engines: params.list("engine")?,
        event_ids: params.list("event_id")?,
        booth_ids: params.list("booth_id")?,
        variants: params.list("variant")?,
        plans: params.list("plan")?,
        types: params.list("type")?,
        failed: crate::activity::status(params)?,
    };
    for event_id in &filter.event_ids {
        event_id.parse::<EventId>().map_err(|error| bad_parameter("event_id", error.to_string()))?;
    }
    for booth_id in &filter.booth_ids {
        booth_id.parse::<BoothId>().map_err(|error| bad_parameter("booth_id", error.to_string()))?;
    }
    if filter.types.iter().any(|code| !SPEND_TYPES.contains(&code.as_str())) {
        return Err(bad_parameter("type", format!("must be of {}", SPEND_TYPES.join(", "))));
    }
    Ok(filter)
}
