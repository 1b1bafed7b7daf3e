//! Activity pages.

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use tollbooth_schemas::ledger::EntryType;

use super::pages::ROWS_MAX;
use super::windows::{Posted, Window};
use super::words::{Meaning, Words, is_in_rollups};
use super::{Store, StoreError};
use crate::activity::{ActivityFilter, ActivityRow, Alert};

#[derive(Debug, Row, Deserialize)]
pub(super) struct LedgerRow {
    /// Whose, where those of several accounts are asked for.
    pub(super) whose: String,
    pub(super) seq: u64,
    r#type: String,
    status: String,
    service: String,
    engine: String,
    amount: i64,
    balance_after: i64,
    quantity: i64,
    unit: String,
    occurred_at: i64,
    posted_at: i64,
    event_id: String,
    booth_id: String,
    operation_id: String,
    price_version: u32,
    reason: String,
    /// This and the plan, where [`filtered_by`] says so.
    variant: String,
    plan: String,
    /// Of an alert, where all of it is wanted: the recharge that it is about, and what else it says.
    recharge_id: String,
    alert: String,
}

impl From<LedgerRow> for ActivityRow {
    fn from(row: LedgerRow) -> Self {
        let alert = of_alert(&row);
        Self {
            alert,
            seq: row.seq,
            entry_type: row.r#type,
            failed: row.status == "failed",
            service: row.service,
            engine: row.engine,
            variant: row.variant,
            plan: row.plan,
            amount_micros: row.amount,
            balance_after_micros: row.balance_after,
            quantity_micros: row.quantity,
            unit: row.unit,
            occurred_at_ms: row.occurred_at,
            posted_at_ms: row.posted_at,
            event_id: row.event_id,
            booth_id: row.booth_id,
            operation_id: row.operation_id,
            price_version: row.price_version,
            reason: row.reason,
        }
    }
}

/// What cannot be read is left out; the rows were written by the sink.
fn of_alert(row: &LedgerRow) -> Option<Box<Alert>> {
    let is_told = !row.alert.is_empty();
    is_told
        .then(|| Alert::of_row(&row.reason, &row.recharge_id, &row.booth_id, &row.alert).ok().map(Box::new))
        .flatten()
}

/// Of alerts as a page shows them.
pub(super) const NO_ALERT: &str = "'' AS recharge_id, '' AS alert";
/// Of alerts as a stream tells them.
const ALERT: &str =
    "if(type = 'alert_raised', note, '') AS recharge_id, if(type = 'alert_raised', detail, '') AS alert";

pub(super) const COLUMNS: &str = "seq, type, status, service, engine, amount, balance_after, quantity, unit, occurred_at, \
     posted_at, event_id, booth_id, operation_id, price_version, reason";

/// Of rows that nothing is filtered by but what they show.
const NOT_FILTERED_BY: &str = "'' AS variant, '' AS plan";

/// What a filter looks at and a page does not show. Each column is one more file to open in every part: it is read where the
/// filter names it, and then as it is, since an alias would stand for the column in the condition as well.
pub(super) const fn filtered_by(filter: &ActivityFilter) -> &'static str {
    match (filter.variants.is_empty(), filter.plans.is_empty()) {
        (true, true) => NOT_FILTERED_BY,
        (false, true) => "variant, '' AS plan",
        (true, false) => "'' AS variant, plan",
        (false, false) => "variant, plan",
    }
}

impl Store {
    /// The account's newest entry in ClickHouse; everything below it is there, too. 0: none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn newest_seq(&self, account_id: &str, posted: Posted) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT seq FROM ledger WHERE account_id = {{account:String}} AND {} \
             ORDER BY account_id DESC, seq DESC LIMIT 1",
            Window::CONDITION
        );
        for window in posted.windows(1) {
            let query = window.bind(self.query(&sql)).param("account", account_id);
            if let Some(seq) = self.rows::<u64>(query).await?.pop() {
                return Ok(seq);
            }
        }
        Ok(0)
    }

    /// The entries below, newest first, at most `limit`; `None` where ClickHouse does not have the uppermost, and so
    /// perhaps not all below it.
    ///
    /// Asked for again they are not read again: entries do not change.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn activity(&self, below: Below<'_>, limit: usize) -> Result<Option<Vec<ActivityRow>>, StoreError> {
        if below.seq == 0 {
            return Ok(Some(Vec::new()));
        }
        if below.filter.is_search() {
            let is_large = below.account_entries > self.settings.searched_entries_max && is_in_rollups(below.filter);
            let (meaning, reached_seq) = self.meaning(below, is_large).await?;
            let is_there = self.pages.are_of_one_server() && reached_seq >= below.seq;
            let search = |rows| self.search(below, &meaning, Search { is_large, is_there }, rows);
            let rows = if is_large && meaning.must_meet_in_work() {
                // Whether they meet is asked of a rollup, which may be a moment behind the ledger.
                self.pages.passed_by();
                search(limit).await?
            } else {
                self.pages.get(below, Some(&meaning), limit, search).await?
            };
            return Ok(rows.map(|rows| rows.into_iter().take(limit).collect()));
        }
        if limit > ROWS_MAX {
            self.pages.passed_by();
            return self.read_activity(below, limit).await;
        }
        let rows = self.pages.get(below, None, limit, |rows| self.read_together(below, rows)).await?;
        Ok(rows.map(|rows| rows.into_iter().take(limit).collect()))
    }

    /// One question for the rows and for whether the uppermost is there: what a question costs is opening the parts. Where
    /// an index can leave parts out, two are cheaper, since an alternative to its condition takes that from it.
    pub(super) async fn read_activity(
        &self,
        below: Below<'_>,
        limit: usize,
    ) -> Result<Option<Vec<ActivityRow>>, StoreError> {
        if !below.filter.event_ids.is_empty() {
            if self.newest_seq(below.account_id, below.posted).await? < below.seq {
                return Ok(None);
            }
            return self.read_below(below, None, limit).await.map(Some);
        }
        let mut is_there = false;
        let mut found: Vec<ActivityRow> = Vec::new();
        for window in below.posted.windows(limit) {
            // One more than is missing, for the witness.
            let missing = limit - found.len();
            let rows = self.read_window(below, None, window, missing + 1, " OR seq = {upper:UInt64}").await?;
            // It is the newest of all, and the first row of whichever window has any.
            is_there = is_there || rows.first().is_some_and(|row| row.seq == below.seq);
            if !is_there && !rows.is_empty() {
                return Ok(None);
            }
            // Perhaps it is there to be a witness only.
            let rows = rows.into_iter().map(ActivityRow::from).filter(|row| below.filter.allows(row));
            found.extend(rows.take(missing));
            if found.len() == limit {
                break;
            }
        }
        Ok(is_there.then_some(found))
    }

    /// The rows, without a word on whether the uppermost is there.
    async fn read_below(
        &self,
        below: Below<'_>,
        words: Option<&Words<'_>>,
        limit: usize,
    ) -> Result<Vec<ActivityRow>, StoreError> {
        let mut found: Vec<ActivityRow> = Vec::new();
        for window in below.posted.windows(limit) {
            let missing = limit - found.len();
            let rows = self.read_window(below, words, window, missing, "").await?;
            found.extend(rows.into_iter().map(ActivityRow::from));
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    async fn read_window(
        &self,
        below: Below<'_>,
        words: Option<&Words<'_>>,
        window: Window,
        limit: usize,
        witness: &str,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let (condition, filtered_by) = (condition(below.filter, words), filtered_by(below.filter));
        let prewhere = words.map_or("", Words::prewhere);
        let sql = format!(
            "SELECT '' AS whose, {COLUMNS}, {filtered_by}, {NO_ALERT} FROM ledger \
             {prewhere}WHERE account_id = {{account:String}} AND seq <= {{upper:UInt64}} AND seq >= {{lower:UInt64}} AND {} \
             AND (({condition}){witness}) ORDER BY account_id DESC, seq DESC LIMIT {{limit:UInt64}}",
            Window::CONDITION
        );
        let query = window.bind(self.query(&sql)).param("account", below.account_id).param("upper", below.seq);
        let query = query.param("lower", below.lower_seq);
        let mut query = bind(query.param("limit", limit), below.filter);
        match words {
            Some(words) => query = words.bind(query, below.filter),
            // None of them is of use, and looking at them is not for nothing.
            None if below.filter.event_ids.is_empty() => query = query.with_setting("use_skip_indexes", "0"),
            None => {}
        }
        self.rows::<LedgerRow>(query).await
    }

    /// A page of a search.
    ///
    /// Of a small account every row's text is looked into. Of a large one the rows are asked for by the names that the words
    /// are a part of, and beside them by the ids of operations as a whole, of which an index knows where they may be.
    async fn search(
        &self,
        below: Below<'_>,
        meaning: &Meaning,
        Search { is_large, is_there }: Search,
        limit: usize,
    ) -> Result<Option<Vec<ActivityRow>>, StoreError> {
        if !is_there && self.newest_seq(below.account_id, below.posted).await? < below.seq {
            return Ok(None);
        }
        if !is_large {
            return self.read_below(below, Some(&Words::Texts(meaning)), limit).await.map(Some);
        }
        let (names, operations) = (Words::Names(meaning), Words::Operations(meaning));
        let is_named = self.are_in_names(below, meaning).await?;
        let mut rows = if is_named { self.read_below(below, Some(&names), limit).await? } else { Vec::new() };
        // Below a full page nothing is of interest. In one window: what there is of it is one row or none.
        let lower_seq = if rows.len() < limit { 0 } else { rows.last().map_or(0, |row| row.seq) };
        let rare = Below { posted: below.posted.at_once(), lower_seq, ..below };
        let by_operation = self.read_below(rare, Some(&operations), limit).await?;
        rows.extend(by_operation);
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.seq));
        rows.dedup_by_key(|row| row.seq);
        rows.truncate(limit);
        Ok(Some(rows))
    }
}

/// How a page is searched.
#[derive(Debug, Clone, Copy)]
struct Search {
    /// By names and whole ids of operations, not by each row's text.
    is_large: bool,
    /// The table was seen to have the uppermost entry.
    is_there: bool,
}

/// Which entries of an account are read.
#[derive(Debug, Clone, Copy)]
pub struct Below<'a> {
    /// The account.
    pub account_id: &'a str,
    /// Only these.
    pub filter: &'a ActivityFilter,
    /// The uppermost entry.
    pub seq: u64,
    /// The lowermost.
    pub lower_seq: u64,
    /// When they were posted.
    pub posted: Posted,
    /// How many entries the account has, those above included.
    pub account_entries: u64,
}

impl Store {
    /// All entries from `from_seq` up to, not including, `before_seq`, of every type, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn entries_from(
        &self,
        account_id: &str,
        from_seq: u64,
        before_seq: u64,
        limit: usize,
    ) -> Result<Vec<ActivityRow>, StoreError> {
        let sql = format!(
            "SELECT '' AS whose, {COLUMNS}, {NOT_FILTERED_BY}, {ALERT} FROM ledger WHERE account_id = {{account:String}} \
             AND seq >= {{from:UInt64}} AND seq < {{before:UInt64}} ORDER BY account_id, seq LIMIT {{limit:UInt64}}"
        );
        let query = self.query(&sql).param("account", account_id).param("from", from_seq).param("before", before_seq);
        let rows = self.rows::<LedgerRow>(query.param("limit", limit)).await?;
        Ok(rows.into_iter().map(ActivityRow::from).collect())
    }
}

/// The filter as a condition over names of parameters; [`bind`] gives the values. One to one with
/// [`ActivityFilter::allows`].
pub(super) fn condition(filter: &ActivityFilter, words: Option<&Words<'_>>) -> String {
    let mut all: Vec<String> = Vec::new();
    for (values, condition) in [
        (&filter.services, "service IN {services:Array(String)}"),
        (&filter.engines, "engine IN {engines:Array(String)}"),
        (&filter.variants, "variant IN {variants:Array(String)}"),
        (&filter.plans, "plan IN {plans:Array(String)}"),
        (&filter.event_ids, "event_id IN {events:Array(String)}"),
        (&filter.booth_ids, "booth_id IN {booths:Array(String)}"),
        (&filter.types, "type IN {types:Array(String)}"),
    ] {
        if !values.is_empty() {
            all.push(condition.to_owned());
        }
    }
    if filter.types.is_empty() && !filter.include_all {
        all.push("type NOT IN {unlisted:Array(String)}".to_owned());
    }
    match filter.failed {
        None => {}
        Some(true) => all.push("status = 'failed'".to_owned()),
        // Only usage has a status; every other entry is a success.
        Some(false) => all.push("status != 'failed'".to_owned()),
    }
    if filter.from_ms.is_some() {
        all.push("occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')".to_owned());
    }
    if filter.to_ms.is_some() {
        all.push("occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')".to_owned());
    }
    all.extend(words.map(Words::conditions).unwrap_or_default());
    if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
}

pub(super) fn bind(query: Query, filter: &ActivityFilter) -> Query {
    let unlisted: Vec<&str> = EntryType::ALL.iter().filter(|t| !t.is_listed()).map(|t| t.code()).collect();
    query
        .param("services", &filter.services)
        .param("engines", &filter.engines)
        .param("variants", &filter.variants)
        .param("plans", &filter.plans)
        .param("events", &filter.event_ids)
        .param("booths", &filter.booth_ids)
        .param("types", &filter.types)
        .param("unlisted", unlisted)
        .param("from", filter.from_ms.unwrap_or_default())
        .param("to", filter.to_ms.unwrap_or_default())
}
