//! What goes out: rows that changed since the last time.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use prost::Message as _;

use super::rows::{self, Head, OPERATION_ROW_BYTES, Table};
use crate::{
    digest::{self, Digest},
    due::{Due, What},
    events::EventKey,
    holds::Hold,
    overlay::{Delta, DueChange},
    state::State,
};

/// Names of the rows that changed, of the tables that are all in memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    accounts: HashSet<Box<str>>,
    events: HashMap<Box<str>, HashSet<Box<str>>>,
    holds: HashMap<Box<str>, HashSet<Box<str>>>,
    counters: HashSet<Digest>,
}

fn note(set: &mut HashSet<Box<str>>, id: &str) {
    if !set.contains(id) {
        set.insert(id.into());
    }
}

fn note_of(map: &mut HashMap<Box<str>, HashSet<Box<str>>>, account_id: &str, id: &str) {
    match map.get_mut(account_id) {
        Some(set) => note(set, id),
        None => drop(map.insert(account_id.into(), HashSet::from([id.into()]))),
    }
}

impl Changed {
    pub(crate) fn account(&mut self, id: &str) {
        note(&mut self.accounts, id);
    }

    pub(crate) fn event(&mut self, account_id: &str, event_id: &str) {
        note_of(&mut self.events, account_id, event_id);
    }

    /// A hold is due from its begin to its end, and the only thing that is due and not part of an account.
    pub(crate) fn due(&mut self, due: &Due) {
        match &due.what {
            What::Hold(hold_id) => note_of(&mut self.holds, &due.account_id, hold_id),
            What::Bonus(_) | What::Fee(_) | What::Recharge | What::Alert(_) => {}
        }
    }

    pub(crate) fn counter(&mut self, key: Digest) {
        self.counters.insert(key);
    }

    pub(crate) fn merge(&mut self, delta: &Delta) {
        for id in delta.accounts.keys() {
            self.account(id);
        }
        for EventKey { account_id, event_id } in delta.events.keys() {
            self.event(account_id, event_id);
        }
        self.counters.extend(delta.counters.keys().copied());
        for change in &delta.due {
            match change {
                DueChange::Add(due) | DueChange::Remove(due) => self.due(due),
            }
        }
    }
}

/// A row of a posting week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Counted from the epoch; the row is forgotten with it.
    pub week: u16,
    /// Which kind of row.
    pub table: Table,
    /// What it is asked for by.
    pub key: Digest,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Everything that changed since the last time. Written in one piece, or not at all.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// What is one of a kind: how far the inputs were folded, and when was posted last.
    pub head: Vec<u8>,
    /// By account id.
    pub accounts: Vec<(Box<str>, Vec<u8>)>,
    /// By account id and event id.
    pub events: Vec<(Box<str>, Box<str>, Vec<u8>)>,
    /// Open holds; `None`: it has ended.
    pub holds: Vec<(Digest, Option<Vec<u8>>)>,
    /// Counts of prices by month; `None`: it is forgotten.
    pub counters: Vec<(Digest, Option<Vec<u8>>)>,
    /// By posting week, each in the order of its digests.
    pub operations: BTreeMap<u16, Vec<(Digest, [u8; OPERATION_ROW_BYTES])>>,
    /// Answers, ended holds and refunds.
    pub rows: Vec<Row>,
}

impl State {
    /// From here on it is noted what changes. For a state that is kept outside of memory, before anything is folded.
    pub fn keep_changes(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// How many rows changed that are kept by posting week.
    #[must_use]
    pub fn pending_rows(&self) -> usize {
        let few = self.answers.young().len().saturating_add(self.ended_holds.young().len());
        self.operations.young().len().saturating_add(few).saturating_add(self.refunds.young().len())
    }

    /// How many of them are operations.
    #[must_use]
    pub fn pending_operations(&self) -> usize {
        self.operations.young().len()
    }

    /// Whether anything changed.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.changed.as_ref().is_some_and(|changed| !changed.accounts.is_empty()) || self.pending_rows() > 0
    }

    /// What changed since the last [`Self::settle`].
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut changes = Changes { head: Head::of(self).encode_to_vec(), ..Changes::default() };
        if let Some(changed) = &self.changed {
            self.changed_in_memory(changed, &mut changes);
        }
        for (key, operation) in self.operations.young() {
            let of_week = changes.operations.entry(operation.week).or_default();
            of_week.push((*key, rows::operation(operation)));
        }
        for of_week in changes.operations.values_mut() {
            of_week.sort_unstable_by_key(|(key, _)| *key);
        }
        let row = |week, table, key: &Digest, bytes| Row { week, table, key: *key, bytes };
        for (key, answer) in self.answers.young() {
            changes.rows.push(row(answer.week, Table::Answers, key, rows::answer(answer)));
        }
        for (key, hold) in self.ended_holds.young() {
            if let Hold::Ended { week } = hold {
                changes.rows.push(row(*week, Table::EndedHolds, key, Vec::new()));
            }
        }
        for (key, refunded) in self.refunds.young() {
            changes.rows.push(row(refunded.week, Table::Refunds, key, rows::refunded(refunded)));
        }
        changes
    }

    fn changed_in_memory(&self, changed: &Changed, changes: &mut Changes) {
        for id in &changed.accounts {
            if let Some(account) = self.accounts.get(id) {
                changes.accounts.push((id.clone(), account.to_image().encode_to_vec()));
            }
        }
        for (account_id, events) in &changed.events {
            let table = self.events.get(account_id);
            for event_id in events {
                if let Some(event) = table.and_then(|table| table.get(event_id)) {
                    changes.events.push((account_id.clone(), event_id.clone(), rows::event(event)));
                }
            }
        }
        for (account_id, holds) in &changed.holds {
            for hold_id in holds {
                let key = digest::of_pair(account_id, hold_id);
                let row = match self.holds.get(&key) {
                    Some(Hold::Open(hold)) => Some(rows::open_hold(account_id, hold_id, hold)),
                    Some(Hold::Ended { .. }) | None => None,
                };
                changes.holds.push((key, row));
            }
        }
        for key in &changed.counters {
            changes.counters.push((*key, self.counters.get(key).map(rows::counter)));
        }
    }

    /// Everything of [`Self::changes`] was written out. Of operations, and of the other rows of a week, at most about
    /// `keep` of each kind stay in memory.
    pub fn settle(&mut self, keep: usize) {
        if let Some(changed) = &mut self.changed {
            **changed = Changed::default();
        }
        self.operations.settle(keep);
        self.answers.settle(keep);
        self.ended_holds.settle(keep);
        self.refunds.settle(keep);
    }
}
