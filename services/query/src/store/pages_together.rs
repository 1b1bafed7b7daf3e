//! The newest entries of accounts: each page read alone, or those of several accounts in one question where many ask at
//! once. A page costs ClickHouse the opening of the parts and one granule of each, about 13 ms; one more account in the same
//! question costs half a millisecond.
//!
//! Of each account that is asked for with others only the uppermost entries are looked at, so many as should hold a page.
//! Where they do not, or the uppermost is not there, the page is read once more, alone.

use std::collections::HashMap;

use super::activity::{Below, COLUMNS, LedgerRow, NO_ALERT, bind, condition, filtered_by};
use super::together::Together;
use super::windows::Window;
use super::{Store, StoreError};
use crate::activity::{ActivityFilter, ActivityRow};

/// So many entries are looked at for each that is wanted, where a filter leaves some out.
const FILTERED_REACH: u64 = 8;
/// Beyond those that are wanted, where only those that move no money are left out.
const UNLISTED_REACH: u64 = 32;

/// What questions have in common that can be put as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    filter: ActivityFilter,
    window: Window,
    rows: usize,
}

/// Whom one of them is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    account_id: String,
    /// Entries from this one.
    lower_seq: u64,
    /// To this one.
    upper_seq: u64,
}

/// What is known of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// As it was read alone; `None`: ClickHouse does not have the uppermost entry.
    Alone(Option<Vec<ActivityRow>>),
    /// As it was read with others.
    Rows(Vec<ActivityRow>),
    /// What was looked at with others does not hold it.
    Short,
}

pub(super) type PagesTogether = Together<Shape, Member, Told>;

/// How it can be put together with others; `None`: it cannot. A range in time may lie anywhere below the uppermost entry, and
/// of events an index knows where they are.
fn together(below: &Below<'_>, rows: usize) -> Option<(Shape, Member)> {
    let filter = below.filter;
    let has_range = filter.from_ms.is_some() || filter.to_ms.is_some();
    if has_range || !filter.event_ids.is_empty() || below.lower_seq > 0 {
        return None;
    }
    let reach = match *filter == (ActivityFilter { include_all: filter.include_all, ..ActivityFilter::default() }) {
        true => rows as u64 + UNLISTED_REACH,
        false => rows as u64 * FILTERED_REACH,
    };
    let window = below.posted.windows(rows).first().copied()?;
    let lower_seq = below.seq.saturating_sub(reach);
    let member = Member { account_id: below.account_id.to_owned(), lower_seq, upper_seq: below.seq };
    Some((Shape { filter: filter.clone(), window, rows }, member))
}

impl Shape {
    /// The page of a member, from its account's rows, newest first. They are one row more than are wanted: the uppermost entry
    /// is among them whether or not it passes the filter. Where another page of the account was asked for as well, the rows of
    /// the upper one come first; its own uppermost entry may have taken the place of a row.
    fn page(&self, member: &Member, told: &[ActivityRow]) -> Told {
        if told.first().is_none_or(|row| row.seq != member.upper_seq) {
            return Told::Short;
        }
        let rows = told.iter().take_while(|row| row.seq >= member.lower_seq).filter(|row| self.filter.allows(row));
        let rows: Vec<ActivityRow> = rows.take(self.rows).cloned().collect();
        let is_cut = told.len() > self.rows;
        let is_all = !is_cut && member.lower_seq <= 1 && self.window == Window::ALL;
        if rows.len() == self.rows || is_all { Told::Rows(rows) } else { Told::Short }
    }

    fn sql(&self, members: usize) -> String {
        let of_member = |number: usize| {
            format!(
                "(account_id = {{account{number}:String}} AND seq >= {{lower{number}:UInt64}} \
                 AND seq <= {{upper{number}:UInt64}})"
            )
        };
        let of_members: Vec<String> = (0..members).map(of_member).collect();
        format!(
            "SELECT account_id AS whose, {COLUMNS}, {}, {NO_ALERT} FROM ledger WHERE ({}) AND {} AND (({}) \
             OR (account_id, seq) IN arrayZip({{accounts:Array(String)}}, {{uppers:Array(UInt64)}})) \
             ORDER BY account_id DESC, seq DESC LIMIT {{limit:UInt64}} BY account_id",
            filtered_by(&self.filter),
            of_members.join(" OR "),
            Window::CONDITION,
            condition(&self.filter, None),
        )
    }
}

impl Store {
    /// As [`Store::read_activity`], perhaps with others.
    pub(super) async fn read_together(
        &self,
        below: Below<'_>,
        rows: usize,
    ) -> Result<Option<Vec<ActivityRow>>, StoreError> {
        let Some((shape, member)) = together(&below, rows) else { return self.read_activity(below, rows).await };
        let alone = async { self.read_activity(below, rows).await.map(Told::Alone) };
        let many = |members: Vec<Member>| {
            let shape = shape.clone();
            async move {
                let told = self.read_pages(&shape, &members).await?;
                let rows = |member: &Member| told.get(&member.account_id).map_or(&[][..], Vec::as_slice);
                Ok(members.iter().map(|member| shape.page(member, rows(member))).collect())
            }
        };
        match self.pages_together.ask(shape.clone(), member, self.queue_wait(), alone, many).await? {
            Told::Alone(rows) => Ok(rows),
            Told::Rows(rows) => Ok(Some(rows)),
            Told::Short => self.read_activity(below, rows).await,
        }
    }

    /// The rows of all members by account, newest first.
    async fn read_pages(
        &self,
        shape: &Shape,
        members: &[Member],
    ) -> Result<HashMap<String, Vec<ActivityRow>>, StoreError> {
        let mut query = shape.window.bind(self.query(&shape.sql(members.len())));
        for (number, member) in members.iter().enumerate() {
            query = query
                .param(&format!("account{number}"), &member.account_id)
                .param(&format!("lower{number}"), member.lower_seq)
                .param(&format!("upper{number}"), member.upper_seq);
        }
        let accounts: Vec<&str> = members.iter().map(|member| member.account_id.as_str()).collect();
        let uppers: Vec<u64> = members.iter().map(|member| member.upper_seq).collect();
        let query = query.param("accounts", accounts).param("uppers", uppers).param("limit", shape.rows + 1);
        // None of them is of use, and looking at them is not for nothing.
        let query = bind(query, &shape.filter).with_setting("use_skip_indexes", "0");
        let rows = self.budget().spent_by(self.rows::<LedgerRow>(query)).await?;
        let mut told: HashMap<String, Vec<ActivityRow>> = HashMap::new();
        for mut row in rows {
            told.entry(std::mem::take(&mut row.whose)).or_default().push(row.into());
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Posted;

    const POSTED: Posted = Posted { by_ms: 1_790_000_000_000, opened_at_ms: 1_760_000_000_000, entries: 100_000 };

    fn below<'a>(account_id: &'a str, filter: &'a ActivityFilter, seq: u64, posted: Posted) -> Below<'a> {
        Below { account_id, filter, seq, lower_seq: 0, posted, account_entries: seq }
    }

    fn rows(seqs: impl IntoIterator<Item = u64>) -> Vec<ActivityRow> {
        seqs.into_iter().map(|seq| ActivityRow { seq, service: "sms".to_owned(), ..ActivityRow::default() }).collect()
    }

    #[test]
    fn pages_go_together_where_nothing_but_account_and_entry_differ() {
        let (all, sms) =
            (ActivityFilter::default(), ActivityFilter { services: vec!["sms".into()], ..ActivityFilter::default() });
        let of = |filter, seq, posted, rows| together(&below("acc_a", filter, seq, posted), rows);
        let (shape, member) = of(&all, 500, POSTED, 64).unwrap();
        // given another account and entry, then it is the same question
        let (other_shape, other) = together(&below("acc_b", &all, 9_000, POSTED), 64).unwrap();
        assert!(shape == other_shape && member != other);
        // and of another filter, size or window another one
        let quiet = Posted { entries: 0, ..POSTED };
        for other in [of(&sms, 500, POSTED, 64), of(&all, 500, POSTED, 128), of(&all, 500, quiet, 64)] {
            assert!(other.unwrap().0 != shape);
        }
        // and a filter has more entries looked at
        assert_eq!(member.lower_seq, 500 - 64 - UNLISTED_REACH);
        assert_eq!(of(&sms, 1_000, POSTED, 64).unwrap().1.lower_seq, 1_000 - 64 * FILTERED_REACH);
    }

    #[test]
    fn what_lies_anywhere_is_asked_alone() {
        for filter in [
            ActivityFilter { from_ms: Some(1), ..ActivityFilter::default() },
            ActivityFilter { to_ms: Some(1), ..ActivityFilter::default() },
            ActivityFilter { event_ids: vec!["evt_a".into()], ..ActivityFilter::default() },
        ] {
            assert_eq!(together(&below("acc_a", &filter, 500, POSTED), 64), None);
        }
    }

    #[test]
    fn a_page_is_all_of_what_was_asked_for_or_short() {
        let filter = ActivityFilter { services: vec!["sms".into()], ..ActivityFilter::default() };
        let shape = |window, rows| Shape { filter: filter.clone(), window, rows };
        let all = shape(Window::ALL, 3);
        let member = |lower_seq, upper_seq| Member { account_id: "acc_a".to_owned(), lower_seq, upper_seq };
        // given a page and one more
        assert_eq!(all.page(&member(1, 9), &rows([9, 8, 7, 6])), Told::Rows(rows([9, 8, 7])));
        // and an uppermost entry that does not pass
        let mut told = rows([9, 8, 7, 6]);
        told[0].service = "print".to_owned();
        assert_eq!(all.page(&member(1, 9), &told), Told::Rows(rows([8, 7, 6])));
        // and one that is not there
        assert_eq!(all.page(&member(1, 9), &rows([8, 7, 6])), Told::Short);
        assert_eq!(all.page(&member(1, 9), &[]), Told::Short);
        // and fewer than are wanted: all there are, or all that were looked at
        assert_eq!(all.page(&member(1, 9), &rows([9, 4])), Told::Rows(rows([9, 4])));
        assert_eq!(all.page(&member(4, 9), &rows([9, 4])), Told::Short);
        let newest = *POSTED.windows(1).first().unwrap();
        assert_eq!(shape(newest, 3).page(&member(1, 9), &rows([9, 4])), Told::Short);
        // and so many rows that some may have been left out, two of which are there to be witnesses only
        let mut told = rows([9, 8, 7, 6]);
        told.iter_mut().take(2).for_each(|row| row.service = "print".to_owned());
        assert_eq!(all.page(&member(1, 9), &told), Told::Short);
        // and rows of another page of the account, above or below
        assert_eq!(all.page(&member(7, 9), &rows([9, 3, 2, 1])), Told::Short);
        assert_eq!(all.page(&member(1, 3), &rows([9, 3, 2, 1])), Told::Short);
    }
}
