//! `GET /v1/accounts/{account_id}/events` and `/{event_id}`: the parties that booths are hired for.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::EventId;
use tollbooth_schemas::account_state::AccountState;
use tollbooth_schemas::time::serde_rfc3339_option;
use utoipa::ToSchema;

use super::parties::{PAGE, Paged, instant, one, page};
use super::{AWAIT, Api, Timer, private};
use crate::amount::AmountBody;
use crate::live::Profile;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems, EventPath};
use crate::params::{Params, parameters};
use crate::store::{Party, PartyKind};

parameters! {
    /// Of the list.
    EventsParams = PAGE, AWAIT
}

parameters! {
    /// Of one event.
    EventParams = AWAIT
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
struct EventsBody {
    data: Vec<EventBody>,
    /// Whether others follow.
    has_more: bool,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

/// An event: the party that a booth is hired for. One that was only named by usage has no name and no time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
struct EventBody {
    event_id: String,
    name: Option<String>,
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<i64>,
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<i64>,
    /// Its own, or the account's.
    time_zone: String,
    budget: Option<BudgetBody>,
    /// Spent, positive, net of what was given back.
    amount: AmountBody,
    /// Successful operations net of reversals.
    count: i64,
    /// Failed operations.
    failed: i64,
    /// Start of the quarter of an hour of the first activity.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    first_activity_at: Option<i64>,
    /// Of the newest.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_activity_at: Option<i64>,
}

/// What may be spent for an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventBudget)]
struct BudgetBody {
    amount: AmountBody,
    policy: PolicyBody,
    spent: AmountBody,
    /// Below zero where more was spent.
    remaining: AmountBody,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EventBudgetPolicy)]
enum PolicyBody {
    /// Nothing is refused.
    Warn,
    /// Holds beyond it are; usage posts all the same.
    RefuseHolds,
}

impl EventBody {
    fn of(party: Party, profile: &Profile) -> Self {
        let money = |micros: i128| AmountBody::new(micros, &profile.currency);
        let mut body = Self {
            name: Some(party.name).filter(|name| !name.is_empty()),
            starts_at: None,
            ends_at: None,
            time_zone: profile.time_zone.clone(),
            budget: None,
            amount: money(party.spent_micros),
            count: party.succeeded,
            failed: party.failures,
            first_activity_at: instant(party.first_ms),
            last_activity_at: instant(party.last_ms),
            event_id: party.id,
        };
        let state = AccountState::parse(&party.state);
        if let Some(AccountState::EventDefined { starts_at_ms, ends_at_ms, time_zone, budget_micros, refuses_holds }) =
            state
        {
            (body.starts_at, body.ends_at) = (instant(starts_at_ms), instant(ends_at_ms));
            if !time_zone.is_empty() {
                body.time_zone = time_zone.into_owned();
            }
            body.budget = budget_micros.map(|micros| BudgetBody {
                amount: money(micros.into()),
                policy: if refuses_holds { PolicyBody::RefuseHolds } else { PolicyBody::Warn },
                spent: money(party.spent_micros),
                remaining: money(i128::from(micros) - party.spent_micros),
            });
        }
        body
    }
}

/// Events, those with the newest activity first
///
/// One that was defined counts as active then.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/events",
    operation_id = "list_events",
    tag = "Events",
    params(AccountPath, EventsParams),
    responses((status = 200, description = "A page", body = EventsBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Events);
    let params = Params::parse(&uri, EventsParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let Paged { rows, next_cursor } = page(&api, &account_id, PartyKind::Event, &params, reader).await?;
    let data: Vec<EventBody> = rows.into_iter().map(|party| EventBody::of(party, &profile)).collect();
    timer.done(data.len());
    private(&EventsBody { data, has_more: next_cursor.is_some(), next_cursor })
}

/// An event
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/events/{event_id}",
    operation_id = "get_event",
    tag = "Events",
    params(EventPath, EventParams),
    responses((status = 200, description = "The event", body = EventBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path((account_id, event_id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Event);
    let params = Params::parse(&uri, EventParams::GROUPS)?;
    let reader = api.open_event(&headers, &account_id, &event_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let no_such = || Problem::not_found("no such event");
    event_id.parse::<EventId>().map_err(|_| no_such())?;
    let party = one(&api, &account_id, PartyKind::Event, &event_id, reader.awaited).await?.ok_or_else(no_such)?;
    timer.done(1);
    private(&EventBody::of(party, &profile))
}
