//! `GET /v1/keys`: the keys of an account, or all of them for an admin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::keys::{KeyDocument, KeyKind, KeyState};
use tollbooth_schemas::time::rfc3339;
use utoipa::ToSchema;

use super::parties::limit;
use super::{Api, Timer, private};
use crate::access::no_account;
use crate::activity::LIMIT_MAX;
use crate::clock::now_ms;
use crate::cursor::List;
use crate::metrics::Endpoint;
use crate::openapi::AccountProblems;
use crate::params::ParameterKind::{Choice, Number, Text};
use crate::params::{Parameter, Params, parameters};

const KINDS: [KeyKind; 3] = [KeyKind::Booth, KeyKind::Account, KeyKind::Admin];

parameters! {
    /// Of this route.
    KeysParams = &[
        Parameter { name: "account_id", kind: Text, about: "Only keys of this account; with an account's key its own." },
        Parameter { name: "kind", kind: Choice(|| KINDS.into_iter().map(kind_code).collect()), about: "Only these." },
        Parameter {
            name: "state",
            kind: Choice(|| KeyState::ALL.into_iter().map(KeyState::code).collect()),
            about: "Only those that stand so.",
        },
        Parameter { name: "limit", kind: Number(1, LIMIT_MAX as u64), about: "Most rows of the page; by default 50." },
        Parameter { name: "cursor", kind: Text, about: "`next_cursor` of the page before, with the same filters." },
    ]
}

/// As a kind is written.
pub(super) const fn kind_code(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Booth => "booth",
        KeyKind::Account => "account",
        KeyKind::Admin => "admin",
    }
}

/// A page of keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Keys)]
struct KeysBody {
    data: Vec<KeyBody>,
    /// Whether older ones follow.
    has_more: bool,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

/// A key, without what would let anybody use it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyBody {
    /// Public id.
    id: String,
    /// The same, as commands about keys call it.
    key_id: String,
    /// `booth`, `account` or `admin`.
    kind: String,
    /// The account that it is bound to; null for an admin's.
    account_id: Option<String>,
    /// The booth that it is bound to, if one.
    booth_id: Option<String>,
    /// What it begins with: kind and mode.
    prefix: String,
    /// What it ends with.
    last_four: String,
    /// What its holder calls it.
    label: Option<String>,
    /// What it is narrowed to; empty: everything of its kind.
    scopes: Vec<String>,
    /// `active`, `expired` or `revoked`.
    state: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// From then on it is refused.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// The key that took its place when it was rotated.
    replaced_by: Option<String>,
    /// When it was last used, by itself, a session or a portal token, to about a minute; null: not as far as is known.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl KeyBody {
    fn of(document: KeyDocument, now_ms: i64, last_used_at: Option<i64>) -> Self {
        Self {
            state: document.state(now_ms).code().to_owned(),
            id: document.key_id.to_string(),
            key_id: document.key_id.to_string(),
            kind: kind_code(document.kind).to_owned(),
            account_id: document.account_id.map(|id| id.to_string()),
            booth_id: document.booth_id.map(|id| id.to_string()),
            prefix: document.prefix,
            last_four: document.last_four,
            label: document.label,
            scopes: document.scopes.into_iter().map(|scope| scope.code().to_owned()).collect(),
            created_at: rfc3339(document.created_at),
            expires_at: document.expires_at.map(rfc3339),
            revoked_at: document.revoked_at.map(rfc3339),
            replaced_by: document.replaced_by.map(|id| id.to_string()),
            last_used_at: last_used_at.map(rfc3339),
        }
    }
}

/// Keys, newest first
///
/// An account's key sees those of its account, an admin's all. The first admin key comes from configuration and is not
/// among them.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "Keys",
    params(KeysParams),
    responses((status = 200, description = "A page", body = KeysBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Keys);
    let params = Params::parse(&uri, KeysParams::GROUPS)?;
    let own = api.access.read_keys(&headers)?;
    let asked = params.one("account_id")?;
    if own.as_ref().zip(asked).is_some_and(|(own, asked)| own.as_str() != asked) {
        return Err(no_account());
    }
    let account_id = own.as_ref().map(|own| own.as_str()).or(asked);
    let (kind, state) = (params.one("kind")?, params.one("state")?);
    let known = |name: &str, value: Option<&str>, codes: &[&str]| match value {
        Some(value) if !codes.contains(&value) => {
            Err(crate::params::bad_parameter(name, format!("must be of {}", codes.join(", "))))
        }
        _ => Ok(()),
    };
    known("kind", kind, &KINDS.map(kind_code))?;
    known("state", state, &KeyState::ALL.map(KeyState::code))?;
    let limit = limit(&params)?;
    let words = [account_id, kind, state].map(Option::unwrap_or_default);
    let list = List::of(&["keys", words[0], words[1], words[2]]);
    let position = params.one("cursor")?.map(|cursor| list.position(cursor)).transpose()?;
    let before = position.as_deref().and_then(|position| {
        let (created_at, key_id) = position.split_once(' ')?;
        Some((created_at.parse::<i64>().ok()?, key_id))
    });
    if position.is_some() && before.is_none() {
        return Err(Problem::bad_cursor("is not a cursor of this API: pass next_cursor on as it was received"));
    }
    let now_ms = now_ms();
    let is_asked_for = |document: &KeyDocument| {
        account_id.is_none_or(|asked| document.account_id.as_ref().is_some_and(|own| own.as_str() == asked))
            && kind.is_none_or(|kind| kind_code(document.kind) == kind)
            && state.is_none_or(|state| document.state(now_ms).code() == state)
            && before.is_none_or(|before| (document.created_at, document.key_id.as_str()) < before)
    };
    let mut rows = api.access.keys().documents_where(is_asked_for);
    rows.reverse();
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| has_more);
    let next_cursor = last.map(|last| list.cursor(&format!("{} {}", last.created_at, last.key_id)));
    let last_used =
        |id: &str| [api.key_uses.last_used(id), api.access.keys().last_used(id)].into_iter().flatten().max();
    let body = |document: KeyDocument| {
        let last_used_at = last_used(document.key_id.as_str());
        KeyBody::of(document, now_ms, last_used_at)
    };
    let data: Vec<KeyBody> = rows.into_iter().map(body).collect();
    timer.done(data.len());
    private(&KeysBody { data, has_more, next_cursor })
}
