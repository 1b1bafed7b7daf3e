//! `GET /v1/audit`: who changed what, for an admin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono_tz::Tz;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::rfc3339;
use utoipa::ToSchema;

use super::parties::limit;
use super::{Api, Timer, private};
use crate::activity::LIMIT_MAX;
use crate::audit::{AuditFilter, Audited};
use crate::calendar::parse_edge;
use crate::cursor::List;
use crate::metrics::Endpoint;
use crate::openapi::AdminProblems;
use crate::params::ParameterKind::{Number, Text};
use crate::params::{Parameter, Params, bad_parameter, parameters};

parameters! {
    /// Of this route.
    AuditParams = &[
        Parameter { name: "actor", kind: Text, about: "Only what this key did, by its id." },
        Parameter { name: "account_id", kind: Text, about: "Only what was about this account." },
        Parameter { name: "action", kind: Text, about: "Only actions of this code, like `post_adjustment`." },
        Parameter { name: "from", kind: Text, about: "Not before: an instant, or a date in UTC." },
        Parameter { name: "to", kind: Text, about: "Before: an instant, or a date in UTC." },
        Parameter { name: "limit", kind: Number(1, LIMIT_MAX as u64), about: "Most rows of the page; by default 50." },
        Parameter { name: "cursor", kind: Text, about: "`next_cursor` of the page before, with the same filters." },
    ]
}

/// A page of actions, newest first. It may be short, even empty, and have more behind it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditTrail)]
struct AuditBody {
    data: Vec<ActionBody>,
    /// Whether older ones may follow.
    has_more: bool,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

/// Something that somebody changed, or wanted to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditedAction)]
struct ActionBody {
    /// Of the action.
    id: String,
    /// When it was begun, RFC 3339, by the broker's clock.
    #[schema(format = DateTime)]
    at: String,
    actor: ActorBody,
    /// What: a code.
    action: String,
    /// The account that it was about.
    account_id: Option<String>,
    /// What of it, by id: a key, an event, a booth, a webhook, the version of a price book.
    resource: Option<String>,
    /// `succeeded`, `pending` (durable, and will be done), `refused`, `failed` (an error: it may have been done), `unknown`
    /// (nobody waited for the end), or `started`: it is under way, or the process ended in between.
    outcome: String,
    /// The HTTP status that was answered.
    status: Option<u16>,
    /// The problem's code.
    code: Option<String>,
    /// The ledger's entry that came of it.
    entry_id: Option<String>,
    /// When it was over, RFC 3339.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Of the request.
    idempotency_key: Option<String>,
    /// Of the request, as in `X-Request-Id`.
    request_id: String,
}

/// The key that acted, by itself or through a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct ActorBody {
    /// Its public id.
    key_id: String,
    /// `account` or `admin`.
    kind: String,
}

impl From<Audited> for ActionBody {
    fn from(Audited { at_ms, started, ended, .. }: Audited) -> Self {
        let (ended_at, ended) = ended.map_or((None, None), |(at_ms, ended)| (Some(rfc3339(at_ms)), Some(ended)));
        let outcome = ended.as_ref().map_or("started", |ended| ended.outcome.code());
        Self {
            id: started.audit_id,
            at: rfc3339(at_ms),
            actor: ActorBody {
                key_id: started.actor.key_id.to_string(),
                kind: super::keys::kind_code(started.actor.kind).to_owned(),
            },
            action: started.action,
            account_id: started.account_id.map(|id| id.to_string()),
            resource: started.resource,
            outcome: outcome.to_owned(),
            status: ended.as_ref().and_then(|ended| ended.status),
            code: ended.as_ref().and_then(|ended| ended.code.clone()),
            entry_id: ended.and_then(|ended| ended.entry_id),
            ended_at,
            idempotency_key: started.idempotency_key,
            request_id: started.request_id,
        }
    }
}

/// The audit trail, newest first
///
/// Every action of an admin or an account that changes something, from before it is done. Read from the end of its topic.
#[utoipa::path(
    get,
    path = "/v1/audit",
    operation_id = "list_audit",
    tag = "Fleet",
    params(AuditParams),
    responses((status = 200, description = "A page", body = AuditBody), AdminProblems),
    security(("key" = []))
)]
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Audit);
    let params = Params::parse(&uri, AuditParams::GROUPS)?;
    api.access.read_all(&headers)?;
    let AskedAudit { filter, below, limit, list } = AskedAudit::parse(&params)?;
    let page = api.audit.page(filter, below, limit).await?;
    let next_cursor = page.below.map(|below| list.cursor(&below.to_string()));
    let data: Vec<ActionBody> = page.actions.into_iter().map(ActionBody::from).collect();
    timer.done(data.len());
    private(&AuditBody { data, has_more: next_cursor.is_some(), next_cursor })
}

/// What the parameters of the audit trail ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedAudit {
    /// What is looked for.
    pub filter: AuditFilter,
    /// The page lies below this offset; `None`: it begins at the newest.
    pub below: Option<i64>,
    /// Rows of a page.
    pub limit: usize,
    list: List,
}

impl AskedAudit {
    /// Its parameters.
    pub const PARAMS: &[&[Parameter]] = AuditParams::GROUPS;

    /// Reads them.
    ///
    /// # Errors
    /// 400 for what is not a parameter's value, and for a cursor of another list.
    pub fn parse(params: &Params) -> Result<Self, Problem> {
        let text = |name| params.one(name).map(|text| text.map(str::to_owned));
        let edge = |name| {
            let edge = params.one(name)?.map(|text| parse_edge(text, Tz::UTC));
            edge.transpose().map_err(|error| bad_parameter(name, error.to_string()))
        };
        let filter = AuditFilter {
            actor: text("actor")?,
            account_id: text("account_id")?,
            action: text("action")?,
            from_ms: edge("from")?,
            to_ms: edge("to")?,
        };
        if filter.from_ms.zip(filter.to_ms).is_some_and(|(from_ms, to_ms)| to_ms <= from_ms) {
            return Err(bad_parameter("to", "must be after from"));
        }
        let mut words = vec!["audit"];
        for name in ["actor", "account_id", "action", "from", "to"] {
            words.push(params.one(name)?.unwrap_or_default());
        }
        let list = List::of(&words);
        let below = params.one("cursor")?.map(|cursor| list.position(cursor)).transpose()?;
        let offset = |below: String| {
            let offset = below.parse().ok().filter(|offset| *offset >= 0);
            offset.ok_or_else(|| Problem::bad_cursor("is not a cursor of this API"))
        };
        Ok(Self { filter, below: below.map(offset).transpose()?, limit: limit(params)?, list })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_an_offset() {
        let list = List::of(&["audit", "", "", "", "", ""]);
        for (position, below) in
            [("0", Ok(Some(0))), ("17", Ok(Some(17))), ("-1", Err("bad_cursor")), ("", Err("bad_cursor"))]
        {
            let uri = format!("/v1/audit?cursor={}", list.cursor(position)).parse().unwrap();
            let params = Params::parse(&uri, AskedAudit::PARAMS).unwrap();
            let read = AskedAudit::parse(&params).map(|asked| asked.below).map_err(|problem| problem.code());
            assert_eq!(read, below, "{position}");
        }
    }
}
