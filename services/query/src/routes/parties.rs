//! What lists of events and of booths have in common: pages in the order of the newest activity.

use serde::Serialize;
use tollbooth_chassis::problem::Problem;

use super::{AWAIT, Api, Awaited, Reader};
use crate::activity::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::cursor::List;
use crate::params::ParameterKind::{Number, Text};
use crate::params::{Parameter, Params};
use crate::store::{PartiesQuery, Party, PartyKind};

/// Which page.
pub(super) const PAGE: &[Parameter] = &[
    Parameter { name: "q", kind: Text, about: "Part of id or name, in any case." },
    Parameter { name: "limit", kind: Number(1, LIMIT_MAX as u64), about: "Most rows of the page; by default 50." },
    Parameter { name: "cursor", kind: Text, about: "`next_cursor` of the page before, with the same `q`." },
];

/// A page of rows.
#[derive(Debug, Serialize)]
pub(super) struct Paged<T> {
    pub(super) rows: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

/// How many rows are asked for.
pub(super) fn limit(params: &Params) -> Result<usize, Problem> {
    let limit = params.number("limit", 1..=LIMIT_MAX as u64)?;
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT))
}

/// What the parameters of a list of events or booths ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedParties {
    /// Part of id or name; empty: all.
    pub text: String,
    /// Rows of a page.
    pub limit: usize,
    /// The party that the page comes after: when it was last active, in milliseconds, and its id.
    pub after: Option<(i64, String)>,
    list: List,
}

impl AskedParties {
    /// Its parameters.
    pub const PARAMS: &[&[Parameter]] = &[PAGE, AWAIT];

    /// Reads them, of the list of an account.
    ///
    /// # Errors
    /// 400 for what is not a parameter's value, and for a cursor of another list.
    pub fn parse(params: &Params, account_id: &str, kind: PartyKind) -> Result<Self, Problem> {
        let text = params.one("q")?.unwrap_or_default().to_owned();
        let list = List::of(&[if kind == PartyKind::Event { "events" } else { "booths" }, account_id, &text]);
        let position = params.one("cursor")?.map(|cursor| list.position(cursor)).transpose()?;
        let after = position.as_deref().and_then(|position| position.split_once(' '));
        let after = after.and_then(|(ms, id)| Some((ms.parse().ok()?, id.to_owned())));
        if position.is_some() && after.is_none() {
            return Err(Problem::bad_cursor("is not a cursor of this API: pass next_cursor on as it was received"));
        }
        Ok(Self { text, limit: limit(params)?, after, list })
    }

    /// The text for `next_cursor` of a page that ends with a party.
    #[must_use]
    pub fn cursor(&self, order_ms: i64, id: &str) -> String {
        self.list.cursor(&format!("{order_ms} {id}"))
    }
}

/// The page that a request asks for.
pub(super) async fn page(
    api: &Api,
    account_id: &str,
    kind: PartyKind,
    params: &Params,
    reader: Reader,
) -> Result<Paged<Party>, Problem> {
    let asked = AskedParties::parse(params, account_id, kind)?;
    let (text, limit) = (asked.text.as_str(), asked.limit);
    let after = asked.after.as_ref().map(|(ms, id)| (*ms, id.as_str()));
    let mut rows = match api.parties.all(account_id, kind).await? {
        Some(known) => known.page(text, after, limit + 1),
        None => {
            api.wait_until_sunk(account_id, reader.awaited).await?;
            let said_by_seq = u64::MAX;
            let question = PartiesQuery { account_id, kind, only: None, text, after, said_by_seq, limit: limit + 1 };
            api.store.parties(question).await?
        }
    };
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| has_more);
    let next_cursor = last.map(|last| asked.cursor(last.order_ms(), &last.id));
    Ok(Paged { rows, next_cursor })
}

/// One party as it is known.
pub(super) async fn one(
    api: &Api,
    account_id: &str,
    kind: PartyKind,
    id: &str,
    awaited: Option<Awaited>,
) -> Result<Option<Party>, Problem> {
    if let Some(known) = api.parties.all(account_id, kind).await? {
        return Ok(known.one(id).cloned());
    }
    api.wait_until_sunk(account_id, awaited).await?;
    let (only, said_by_seq) = (Some(id), u64::MAX);
    let question = PartiesQuery { account_id, kind, only, text: "", after: None, said_by_seq, limit: 1 };
    Ok(api.store.parties(question).await?.pop())
}

/// An instant, where there is one.
pub(super) const fn instant(ms: i64) -> Option<i64> {
    if ms == 0 { None } else { Some(ms) }
}
