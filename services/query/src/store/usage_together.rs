//! Sums of accounts: each asked for alone, or those of several in one question where many ask at once.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;

use super::together::Together;
use super::usage::{GroupBy, Keep, Kinds, Scope, UsageFilter, UsageQuery, UsageRow};
use super::usage_sql::{Parts, Source};
use super::{Store, StoreError};
use crate::calendar::TimeRange;

/// What questions have in common that can be put as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    kinds: Kinds,
    rollup: TimeRange,
    starts_ms: Box<[i64]>,
    group_by: Option<GroupBy>,
    /// But for the event.
    filter: UsageFilter,
    is_of_event: bool,
    is_after: bool,
    rows_max: usize,
}

/// Whom one of them is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    account_id: String,
    /// Empty: all of the account.
    event_id: String,
    /// As of the question.
    after_seq: Option<u64>,
}

/// What is told of each; `None`: not all, it has to ask alone.
pub(super) type UsageTogether = Together<Shape, Member, Option<Vec<UsageRow>>>;

#[derive(Debug, Row, Deserialize)]
struct MemberRow {
    whose: String,
    of_event: String,
    start_ms: i64,
    group_key: String,
    succeeded: i64,
    failures: i64,
    quantity_micros: i128,
    spent_micros: i128,
    cost_micros: i128,
    newest_seq: u64,
}

impl From<MemberRow> for UsageRow {
    fn from(row: MemberRow) -> Self {
        Self {
            start_ms: row.start_ms,
            group_key: row.group_key,
            succeeded: row.succeeded,
            failures: row.failures,
            quantity_micros: row.quantity_micros,
            spent_micros: row.spent_micros,
            cost_micros: row.cost_micros,
            newest_seq: row.newest_seq,
        }
    }
}

impl UsageQuery<'_> {
    /// How it can be put together with others; `None`: it cannot. That is for whole quarters of one rollup, and of one
    /// event where its rollup is asked.
    fn together(&self, parts: &Parts) -> Option<(Shape, Member)> {
        let Scope::Account(account_id) = self.scope else { return None };
        let rollup = parts.rollup.filter(|_| parts.entries.is_empty() && self.keep == Keep::All)?;
        let event_id = match (self.source(), self.filter.event_ids.as_slice()) {
            (Source::Account, _) => String::new(),
            (Source::Event, [event_id]) => event_id.clone(),
            _ => return None,
        };
        let shape = Shape {
            kinds: self.kinds,
            rollup,
            starts_ms: self.starts_ms.into(),
            group_by: self.group_by,
            filter: UsageFilter { event_ids: Vec::new(), ..self.filter.clone() },
            is_of_event: !event_id.is_empty(),
            is_after: self.after_seq.is_some(),
            rows_max: self.rows_max,
        };
        Some((shape, Member { account_id: account_id.to_owned(), event_id, after_seq: self.after_seq }))
    }
}

impl Member {
    /// Its rows of those that are told of all; `None` where they may have been cut: groups that came to nothing are among them
    /// for others' sake, and count.
    fn rows(&self, told: &HashMap<(String, String), Vec<UsageRow>>, rows_max: usize) -> Option<Vec<UsageRow>> {
        let Some(rows) = told.get(&(self.account_id.clone(), self.event_id.clone())) else { return Some(Vec::new()) };
        if rows.len() >= rows_max {
            return None;
        }
        // One that came to nothing is told for whoever asked for what is behind the least entry.
        let is_wanted = |row: &&UsageRow| !row.is_nothing() || self.after_seq.is_some_and(|seq| row.newest_seq > seq);
        Some(rows.iter().filter(is_wanted).cloned().collect())
    }
}

impl Store {
    /// Sums per bucket and group, in no order; groups without anything are left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn usage(&self, question: &UsageQuery<'_>) -> Result<Vec<UsageRow>, StoreError> {
        let parts = &question.parts();
        let Some((shape, member)) = question.together(parts) else { return self.usage_alone(question, parts).await };
        let many = |members: Vec<Member>| async move {
            let told = self.usage_of(question, parts, &members).await?;
            Ok(members.iter().map(|member| member.rows(&told, question.rows_max)).collect())
        };
        let alone = async { self.usage_alone(question, parts).await.map(Some) };
        match self.together.ask(shape, member, self.queue_wait(), alone, many).await? {
            Some(rows) => Ok(rows),
            None => self.usage_alone(question, parts).await,
        }
    }

    async fn usage_alone(&self, question: &UsageQuery<'_>, parts: &Parts) -> Result<Vec<UsageRow>, StoreError> {
        let query = self.bounded_query(&question.sql(parts));
        self.rows(question.bind(query, parts)).await
    }

    /// The sums of members of one question, by account and event. What they read is nobody's in particular: it is bounded as
    /// what one request may read, and counted for none of them.
    async fn usage_of(
        &self,
        question: &UsageQuery<'_>,
        parts: &Parts,
        members: &[Member],
    ) -> Result<HashMap<(String, String), Vec<UsageRow>>, StoreError> {
        let is_of_event = members.iter().any(|member| !member.event_id.is_empty());
        let filter = UsageFilter { event_ids: Vec::new(), ..question.filter.clone() };
        let after_seq = members.iter().filter_map(|member| member.after_seq).min();
        let question = UsageQuery { after_seq, filter: &filter, ..question.clone() };
        let source = if is_of_event { Source::Event } else { Source::Account };
        let account_ids: Vec<&str> = members.iter().map(|member| member.account_id.as_str()).collect();
        let event_ids: Vec<&str> = members.iter().map(|member| member.event_id.as_str()).collect();
        let budget = self.budget();
        let asked = async {
            let query = self.bounded_query(&question.together_sql(source)).param("accounts", account_ids);
            self.rows::<MemberRow>(question.bind(query.param("of_events", event_ids), parts)).await
        };
        let mut told: HashMap<_, Vec<UsageRow>> = HashMap::new();
        for row in budget.spent_by(asked).await? {
            let whose = (row.whose.clone(), row.of_event.clone());
            told.entry(whose).or_default().push(row.into());
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::QUARTER_MS;

    fn question<'a>(account_id: &'a str, filter: &'a UsageFilter, after_seq: Option<u64>) -> UsageQuery<'a> {
        UsageQuery {
            scope: Scope::Account(account_id),
            kinds: Kinds::Spend,
            range: Some(TimeRange { from_ms: 0, to_ms: 8 * QUARTER_MS }),
            starts_ms: &[],
            group_by: Some(GroupBy::Engine),
            keep: Keep::All,
            filter,
            after_seq,
            rows_max: 10,
        }
    }

    #[test]
    fn questions_go_together_where_nothing_but_account_event_and_entry_differ() {
        let of = |question: UsageQuery<'_>| question.together(&question.parts());
        let (all, sms) =
            (UsageFilter::default(), UsageFilter { services: vec!["sms".into()], ..UsageFilter::default() });
        let event = |id: &str| UsageFilter { event_ids: vec![id.into()], ..UsageFilter::default() };
        let (gala, prom) = (event("evt_gala"), event("evt_prom"));

        // given one question about two accounts, and one about two events
        for (one, other) in [
            (question("acc_a", &all, Some(7)), question("acc_b", &all, Some(9))),
            (question("acc_a", &gala, None), question("acc_a", &prom, None)),
        ] {
            let (one, other) = (of(one).unwrap(), of(other).unwrap());
            assert!(one.0 == other.0 && one.1 != other.1);
        }
        // then another range, filter, grouping or rollup is another question
        let shapes = [
            of(question("acc_a", &all, None)),
            of(question("acc_a", &all, Some(7))),
            of(question("acc_a", &sms, None)),
            of(question("acc_a", &gala, None)),
            of(UsageQuery { group_by: None, ..question("acc_a", &all, None) }),
            of(UsageQuery { kinds: Kinds::All, ..question("acc_a", &all, None) }),
            of(UsageQuery { starts_ms: &[0], ..question("acc_a", &all, None) }),
            of(UsageQuery { rows_max: 11, ..question("acc_a", &all, None) }),
            of(UsageQuery { range: None, ..question("acc_a", &all, None) }),
        ];
        let shapes: std::collections::HashSet<Shape> = shapes.into_iter().map(|asked| asked.unwrap().0).collect();
        assert_eq!(shapes.len(), 9);
    }

    #[test]
    fn what_several_tables_or_the_entries_must_tell_is_asked_for_alone() {
        let of = |question: UsageQuery<'_>| question.together(&question.parts());
        let all = UsageFilter::default();
        let events = UsageFilter { event_ids: vec!["evt_a".into(), "evt_b".into()], ..UsageFilter::default() };
        let cut = TimeRange { from_ms: 1, to_ms: 8 * QUARTER_MS };
        let kept = ["kling".to_owned()];
        for alone in [
            UsageQuery { range: Some(cut), ..question("acc_a", &all, None) },
            UsageQuery { group_by: Some(GroupBy::Event), ..question("acc_a", &all, None) },
            UsageQuery { group_by: Some(GroupBy::Booth), ..question("acc_a", &all, None) },
            UsageQuery { keep: Keep::These(&kept), ..question("acc_a", &all, None) },
            UsageQuery { scope: Scope::Fleet { currency: "USD" }, ..question("acc_a", &all, None) },
            question("acc_a", &events, None),
        ] {
            assert_eq!(of(alone), None);
        }
    }

    #[test]
    fn each_gets_its_own_rows_and_no_empty_ones_that_it_did_not_ask_for() {
        // given what was told of two accounts behind entry 3
        let row = |spent_micros, newest_seq| UsageRow {
            start_ms: 0,
            group_key: String::new(),
            succeeded: 0,
            failures: 0,
            quantity_micros: 0,
            spent_micros,
            cost_micros: 0,
            newest_seq,
        };
        let told = HashMap::from([
            (("acc_a".to_owned(), String::new()), vec![row(5, 2), row(0, 9)]),
            (("acc_b".to_owned(), String::new()), vec![row(0, 9), row(0, 4)]),
        ]);
        let member =
            |account_id: &str, after_seq| Member { account_id: account_id.into(), event_id: String::new(), after_seq };
        assert_eq!(member("acc_a", Some(9)).rows(&told, 10), Some(vec![row(5, 2)]));
        assert_eq!(member("acc_b", Some(3)).rows(&told, 10), Some(vec![row(0, 9), row(0, 4)]));
        assert_eq!(member("acc_b", Some(4)).rows(&told, 10), Some(vec![row(0, 9)]));
        assert_eq!(member("acc_c", None).rows(&told, 10), Some(Vec::new()));
        // and where as many were told as may be, some may have been left out
        assert_eq!(member("acc_b", Some(4)).rows(&told, 2), None);
    }
}
