//! Events and booths of an account: what was said of them, and what was spent.
//!
//! Both halves are one row a party: what was said comes from the entries that say it, at most some ten thousand an account,
//! the sums from the rollup of the parties. A party that was only ever named by usage is one, too.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartyKind {
    /// Events.
    Event,
    /// Booths.
    Booth,
}

impl PartyKind {
    /// Column, rollup, type of the entry that says something of one.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Event => ("event_id", "usage_15m_by_event", "event_defined"),
            Self::Booth => ("booth_id", "usage_15m_by_booth", "booth_set"),
        }
    }
}

/// A question about parties.
#[derive(Debug, Clone, Copy)]
pub struct PartiesQuery<'a> {
    /// Whose.
    pub account_id: &'a str,
    /// Which.
    pub kind: PartyKind,
    /// This one alone.
    pub only: Option<&'a str>,
    /// Part of id or name, in any case; empty: all.
    pub text: &'a str,
    /// Behind the one with this instant and id.
    pub after: Option<(i64, &'a str)>,
    /// What entries up to this one said; what was spent is what the rollup has.
    pub said_by_seq: u64,
    /// Most rows.
    pub limit: usize,
}

/// An event or a booth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Row, Deserialize)]
pub struct Party {
    /// Its id.
    pub id: String,
    /// As last said; empty: never.
    pub name: String,
    /// What else was said: the entry's `account_state`.
    pub state: String,
    /// The entry's `reason`: `paused` for a booth that is.
    pub reason: String,
    /// Successful operations net of reversals.
    pub succeeded: i64,
    /// Failed operations.
    pub failures: i64,
    /// Spent in micro-units, positive, net of reversals.
    pub spent_micros: i128,
    /// Start of the quarter of an hour of the first activity; 0: none.
    pub first_ms: i64,
    /// Of the newest.
    pub last_ms: i64,
    /// When something was said last; 0: never.
    pub said_ms: i64,
    /// The newest entry of what was spent.
    pub newest_seq: u64,
}

impl Party {
    /// What they are ordered by: newest activity, or when something was said last, whichever is later.
    #[must_use]
    pub fn order_ms(&self) -> i64 {
        self.last_ms.max(self.said_ms)
    }
}

impl Store {
    /// Parties, those with the newest activity first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn parties(&self, question: PartiesQuery<'_>) -> Result<Vec<Party>, StoreError> {
        let (column, rollup, said) = question.kind.names();
        let only = if question.only.is_some() { format!(" AND {column} = {{only:String}}") } else { String::new() };
        let after = match question.after {
            Some(_) => " AND (greatest(last_ms, said_ms), id) < ({after_ms:Int64}, {after_id:String})",
            None => "",
        };
        let sql = format!(
            "SELECT id, max(named) AS name, max(told) AS state, max(why) AS reason, sum(n) AS succeeded, \
             sum(f) AS failures, sum(a) AS spent_micros, max(since) AS first_ms, max(until) AS last_ms, \
             max(said_at) AS said_ms, max(newest) AS newest_seq FROM (\
             SELECT {column} AS id, '' AS named, '' AS told, '' AS why, sum(count) AS n, sum(failed) AS f, \
             -sum(amount) AS a, toInt64(toUnixTimestamp(min(bucket))) * 1000 AS since, \
             toInt64(toUnixTimestamp(max(bucket))) * 1000 AS until, toInt64(0) AS said_at, \
             max({rollup}.newest_seq) AS newest FROM {rollup} \
             WHERE account_id = {{account:String}} AND type IN ('consume', 'refund', 'reversal', 'repriced'){only} GROUP BY id \
             UNION ALL \
             SELECT {column} AS id, argMax(note, seq) AS named, argMax(account_state, seq) AS told, \
             argMax(ledger.reason, seq) AS why, toInt64(0) AS n, toInt64(0) AS f, toDecimal128(0, 6) AS a, toInt64(0) AS since, \
             toInt64(0) AS until, toUnixTimestamp64Milli(max(posted_at)) AS said_at, \
             toUInt64(0) AS newest FROM ledger \
             WHERE account_id = {{account:String}} AND type = '{said}' AND seq <= {{said_by:UInt64}}{only} GROUP BY id) \
             GROUP BY id \
             HAVING (positionCaseInsensitiveUTF8(concat(id, ' ', name), {{text:String}}) > 0){after} \
             ORDER BY greatest(last_ms, said_ms) DESC, id DESC LIMIT {{limit:UInt64}}"
        );
        let mut query = self
            .bounded_query(&sql)
            .param("account", question.account_id)
            .param("text", question.text)
            .param("said_by", question.said_by_seq)
            .param("limit", question.limit);
        if let Some(only) = question.only {
            query = query.param("only", only);
        }
        if let Some((after_ms, after_id)) = question.after {
            query = query.param("after_ms", after_ms).param("after_id", after_id);
        }
        self.rows(query).await
    }
}
