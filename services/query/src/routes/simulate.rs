//! `POST /v1/price-books/{version}/simulate`

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::http::{BodyLimit, JsonBody};
use tollbooth_chassis::problem::Problem;
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::price_book::{DOCUMENT_BYTES_MAX, PriceBook};
use tollbooth_schemas::time::{parse_rfc3339_ms, serde_rfc3339};
use tollbooth_schemas::zone::{Tz, month_of, month_start_ms, parse_zone};
use tollbooth_schemas::{AccountId, Quantity};
use utoipa::ToSchema;

use super::{Api, Timer, private};
use crate::access::no_account;
use crate::activity::{PricingBody, formula_of, model_code};
use crate::amount::{AmountBody, QuantityText};
use crate::calendar::TimeRange;
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{AdminProblems, BookPath, PriceBookSchema, ProblemBody};
use crate::params::{Params, parameters};
use crate::prices::Names;
use crate::simulate::{Book, Line, Work};

const DAY_MS: i64 = 86_400_000;
/// Longest period.
const DAYS_MAX: i64 = 92;
/// Most charges of a period, those before it in its first month included.
const CHARGES_MAX: usize = 100_000;

parameters! {
    /// Of this route: none.
    NoParams = &[]
}

/// What is to be priced: a piece of work, a past period, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSimulation)]
struct NewSimulation {
    /// A draft with the version of the path; absent: the published book of that version.
    #[serde(default)]
    #[schema(value_type = Option<PriceBookSchema>)]
    book: Option<PriceBook>,
    #[serde(default)]
    work: Option<WorkBody>,
    #[serde(default)]
    period: Option<PeriodBody>,
}

/// A piece of work, as a usage event would report it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SimulatedWork)]
struct WorkBody {
    service: String,
    engine: String,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    country: String,
    unit: String,
    #[schema(value_type = String, examples("5"))]
    quantity: Quantity,
    /// The plan that pays for it.
    plan: String,
    #[serde(default)]
    test_mode: bool,
    /// When it is done; absent: now.
    #[serde(default)]
    #[schema(format = DateTime)]
    time: Option<String>,
    /// What its month has counted before, for prices with tiers or an included quantity; absent: nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>, examples("990"))]
    counted_before: Quantity,
}

/// What an account was charged for work of a period.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SimulatedPeriod)]
struct PeriodBody {
    #[schema(value_type = String, examples("acc_luna"))]
    account_id: AccountId,
    /// First instant of the work,
    #[schema(format = DateTime)]
    from: String,
    /// and the first one after it; at most 92 days.
    #[schema(format = DateTime)]
    to: String,
    /// As if it had been on this plan; absent: the plan of each charge.
    #[serde(default)]
    plan: Option<String>,
}

/// What it would cost. Nothing was posted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Simulation)]
struct SimulationBody {
    version: u32,
    currency: String,
    /// Whether the book came with the request.
    draft: bool,
    work: Option<PricedBody>,
    period: Option<ResultBody>,
}

/// A piece of work with its price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SimulatedCharge)]
struct PricedBody {
    amount: AmountBody,
    /// As an entry would say it.
    #[schema(examples("5 second x 0.20 USD"))]
    explanation: String,
    price_model: &'static str,
    unit_price: AmountBody,
    pricing: Option<PricingBody>,
}

/// A period, priced once more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SimulationOfPeriod)]
struct ResultBody {
    account_id: String,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    from: i64,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    to: i64,
    /// Whose months are counted.
    time_zone: String,
    /// The newest entry that was looked at.
    as_of_seq: u64,
    /// Largest change first.
    engines: Vec<EngineBody>,
    total: SumsBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SimulationOfEngine)]
struct EngineBody {
    service: String,
    engine: String,
    /// Service and engine as people read them.
    name: String,
    #[schema(value_type = String, examples("131"))]
    quantity: QuantityText,
    #[serde(flatten)]
    sums: SumsBody,
}

/// Charges that were taken back as a whole are in none of it; partial refunds change neither side.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SimulationSums)]
struct SumsBody {
    /// Charges.
    count: i64,
    /// What they came to.
    charged: AmountBody,
    /// What they would come to, as far as they have a price.
    would_be: AmountBody,
    /// The one less the other: below zero where it would be cheaper.
    difference: AmountBody,
    /// Charges for which the book has no price: they would be dead letters.
    unpriced: i64,
}

impl SumsBody {
    fn of(line: &Line, currency: &str) -> Self {
        let money = |micros: i128| AmountBody::new(micros, currency);
        Self {
            count: line.count,
            charged: money(line.charged_micros),
            would_be: money(line.would_be_micros),
            difference: money(line.would_be_micros - line.charged_micros),
            unpriced: line.unpriced,
        }
    }
}

/// Price work by a book without posting
///
/// By a published book or a draft, whether it is in force or not; the intervals of its rows count as they stand.
#[utoipa::path(
    post,
    path = "/v1/price-books/{version}/simulate",
    operation_id = "simulate_price_book",
    tag = "Prices",
    params(BookPath, NoParams),
    request_body = NewSimulation,
    responses(
        (status = 200, description = "What it would cost", body = SimulationBody),
        (status = 404, description = "`not_found`: no such book, no such account", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 413, description = "`too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: not JSON", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 422, description = "`invalid`: the draft, the work or the period, each by its place; `no_price`, \
         `engine_retired`, `unit_mismatch`, `out_of_range`: the work has no charge", body = ProblemBody,
         content_type = "application/problem+json"),
        AdminProblems
    ),
    security(("key" = []), ("session" = []))
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Path(version): Path<String>,
    mut request: Request,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Simulation);
    Params::parse(request.uri(), NoParams::GROUPS)?;
    api.access.read_all(request.headers())?;
    if !request.headers().contains_key(header::AUTHORIZATION) {
        // It changes nothing, and costs much: no other site makes a browser ask for it.
        api.access.session_for_change(request.headers())?;
    }
    if let Some(limit) = request.extensions_mut().get_mut::<BodyLimit>() {
        limit.bytes_max = DOCUMENT_BYTES_MAX.saturating_add(16 * 1_024);
    }
    let JsonBody(new): JsonBody<NewSimulation> = JsonBody::from_request(request, &()).await?;
    if new.work.is_none() && new.period.is_none() {
        return Err(Problem::invalid("say what is to be priced: work, period, or both"));
    }
    api.ensure_prices()?;
    let (book, draft) = book(&api, &version, new.book)?;
    let (version, currency) = (book.version, book.currency.clone());
    let mut books = PriceBooks::default();
    books.publish(book);
    let book = Book { books: &books, version, currency: &currency };
    let work = new.work.map(|work| priced(&book, work)).transpose()?;
    let period = match new.period {
        Some(period) => Some(simulated(&api, &book, period).await?),
        None => None,
    };
    timer.done(period.as_ref().map_or(1, |period| period.engines.len()));
    private(&SimulationBody { version, currency: currency.clone(), draft, work, period })
}

/// The draft, or else the published book; whether it is a draft.
fn book(api: &Api, version: &str, draft: Option<PriceBook>) -> Result<(PriceBook, bool), Problem> {
    let no_book = || Problem::not_found("no such price book");
    let version: u32 = version.parse().map_err(|_| no_book())?;
    let Some(draft) = draft else { return Ok((api.prices.version(version).ok_or_else(no_book)?, false)) };
    let errors = draft.check();
    if errors.is_empty() && draft.version == version {
        return Ok((draft, true));
    }
    let mut problem = Problem::invalid("the price book cannot be published like this");
    for error in errors {
        problem = problem.with_error(format!("/book{}", error.pointer), error.detail);
    }
    if draft.version != version {
        problem = problem.with_error("/book/version", format!("must be {version}, as the path says"));
    }
    Err(problem)
}

fn wrong(pointer: &str, detail: &str) -> Problem {
    Problem::invalid(detail.to_owned()).with_error(pointer, detail)
}

fn instant(text: &str, pointer: &str) -> Result<i64, Problem> {
    parse_rfc3339_ms(text).ok_or_else(|| wrong(pointer, "must be an RFC 3339 time like 2026-11-21T20:15:00Z"))
}

fn priced(book: &Book<'_>, asked: WorkBody) -> Result<PricedBody, Problem> {
    let occurred_at_ms = asked.time.as_deref().map_or_else(|| Ok(now_ms()), |time| instant(time, "/work/time"))?;
    if asked.quantity.is_zero() {
        return Err(wrong("/work/quantity", "must be more than 0"));
    }
    let work = Work {
        service: asked.service,
        engine: asked.engine,
        variant: asked.variant,
        country: asked.country,
        unit: asked.unit,
        plan: asked.plan,
        quantity_micros: asked.quantity.micros(),
        test_mode: asked.test_mode,
        occurred_at_ms,
    };
    let (model, charge) = book.price(&work, asked.counted_before).map_err(|why| {
        let detail = format!("{} ({}) has no charge on plan {:?}", work.service, work.engine, work.plan);
        Problem::new(why.code(), StatusCode::UNPROCESSABLE_ENTITY, "The work has no charge").with_detail(detail)
    })?;
    let mut pricing = charge.pricing.map(|pricing| *pricing);
    if let Some(pricing) = &mut pricing {
        pricing.counted = None;
    }
    let unit_price_micros = charge.unit_price.micros();
    let explanation =
        formula_of(book.currency, &work.unit, model, (work.quantity_micros, unit_price_micros), pricing.as_ref());
    Ok(PricedBody {
        amount: AmountBody::new(charge.amount.micros(), book.currency),
        explanation,
        price_model: model_code(model),
        unit_price: AmountBody::new(unit_price_micros, book.currency),
        pricing: pricing.map(|pricing| PricingBody::new(book.currency, &pricing)),
    })
}

async fn simulated(api: &Api, book: &Book<'_>, period: PeriodBody) -> Result<ResultBody, Problem> {
    let range =
        TimeRange { from_ms: instant(&period.from, "/period/from")?, to_ms: instant(&period.to, "/period/to")? };
    if range.to_ms <= range.from_ms || range.to_ms - range.from_ms > DAYS_MAX * DAY_MS {
        return Err(wrong("/period/to", "must be after from, by 92 days at most"));
    }
    let account_id = period.account_id.as_str();
    let balance = api.view.balance(account_id).ok_or_else(no_account)?;
    if balance.profile.currency != book.currency {
        return Err(wrong("/period/account_id", "the account has another currency than the book"));
    }
    // As the ledger takes a zone that it does not know.
    let zone = parse_zone(&balance.profile.time_zone).unwrap_or(Tz::UTC);
    let month = month_of(zone, range.from_ms).and_then(|(year, month)| month_start_ms(zone, year, month));
    let from_month = TimeRange { from_ms: month.unwrap_or(range.from_ms), to_ms: range.to_ms };
    let as_of_seq = api.newest_stored_seq(account_id).await?;
    let too_large = || {
        let detail =
            format!("the period has more than {CHARGES_MAX} entries about charges since its month began: narrow it");
        Problem::new("query_too_large", StatusCode::BAD_REQUEST, "The request asks for too much").with_detail(detail)
    };
    let charges = api.store.charges(account_id, from_month, as_of_seq, CHARGES_MAX).await?;
    let mut charges = charges.ok_or_else(too_large)?;
    if let Some(plan) = period.plan {
        charges.iter_mut().for_each(|charged| charged.work.plan.clone_from(&plan));
    }
    let lines = book.simulate(&charges, range, zone);
    let names = api.prices.names();
    let total = lines.values().fold(Line::default(), |sum, line| Line {
        count: sum.count + line.count,
        quantity_micros: 0,
        charged_micros: sum.charged_micros + line.charged_micros,
        would_be_micros: sum.would_be_micros + line.would_be_micros,
        unpriced: sum.unpriced + line.unpriced,
    });
    let mut lines: Vec<((String, String), Line)> = lines.into_iter().collect();
    lines.sort_by_key(|(_, line)| std::cmp::Reverse((line.would_be_micros - line.charged_micros).abs()));
    Ok(ResultBody {
        account_id: account_id.to_owned(),
        from: range.from_ms,
        to: range.to_ms,
        time_zone: zone.name().to_owned(),
        as_of_seq,
        engines: lines.into_iter().map(|(work, line)| engine(work, &line, &names, book.currency)).collect(),
        total: SumsBody::of(&total, book.currency),
    })
}

fn engine((service, engine): (String, String), line: &Line, names: &Names, currency: &str) -> EngineBody {
    EngineBody {
        name: names.work(&service, &engine).unwrap_or_default(),
        service,
        engine,
        quantity: QuantityText(line.quantity_micros),
        sums: SumsBody::of(line, currency),
    }
}
