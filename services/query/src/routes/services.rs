//! `GET /v1/services`: what people call what is charged. Public, no key.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use utoipa::ToSchema;

use super::{Api, Timer, answer};
use crate::metrics::Endpoint;
use crate::openapi::PublicProblems;
use crate::params::{Params, parameters};

parameters! {
    /// Of this route: none.
    ServicesParams = &[]
}

/// Everything that ever had a price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Services)]
struct ServicesBody {
    data: Vec<ServiceBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
struct ServiceBody {
    /// Service code.
    service: String,
    /// Engine code.
    engine: String,
    /// Both together, as in `service_name` of a transaction.
    #[schema(examples("AI Modify (Nano Banana 2)"))]
    name: String,
    service_name: String,
    engine_name: String,
}

/// Services and engines, as people read them
///
/// Retired ones too, because old transactions name them. Needs no key.
#[utoipa::path(
    get,
    path = "/v1/services",
    operation_id = "list_services",
    tag = "Prices",
    params(ServicesParams),
    responses((status = 200, description = "All of them", body = ServicesBody), PublicProblems)
)]
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Services);
    Params::parse(&uri, ServicesParams::GROUPS)?;
    api.ensure_prices()?;
    let names = api.prices.names();
    let data = names.all_work().map(|(service, engine)| ServiceBody {
        name: names.work(service, engine).unwrap_or_default(),
        service_name: names.service(service).to_owned(),
        engine_name: names.engine(engine).to_owned(),
        service: service.to_owned(),
        engine: engine.to_owned(),
    });
    let body = ServicesBody { data: data.collect() };
    timer.done(body.data.len());
    answer(&body, HeaderValue::from_static("public, max-age=60, stale-while-revalidate=3600"))
}
