//! What goes out next: the order, the ids and the pace, without I/O and without a clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Position, Usage};
use crate::activity::{ActivityFilter, ActivityRow};
use crate::live::Balance;

/// Places of a sum above which it goes out at once.
const USAGE_LINES_MAX: usize = 200;

/// What a client can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// `balance`: the balance, at most so often.
    Balance,
    /// `transactions`: every entry that is listed.
    Transactions,
    /// `usage`: what entries change in sums, gathered.
    Usage,
    /// `alerts`: every alert that is raised.
    Alerts,
}

impl Topic {
    /// Every word for a parameter.
    pub const CODES: [(&'static str, Self); 4] = [
        ("balance", Self::Balance),
        ("transactions", Self::Transactions),
        ("usage", Self::Usage),
        ("alerts", Self::Alerts),
    ];
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topics {
    /// [`Topic::Balance`].
    pub balance: bool,
    /// [`Topic::Transactions`].
    pub transactions: bool,
    /// [`Topic::Usage`].
    pub usage: bool,
    /// [`Topic::Alerts`].
    pub alerts: bool,
}

impl Topics {
    /// Whether entries go out one by one.
    const fn has_entries(self) -> bool {
        self.transactions || self.alerts
    }
}

/// How long what is gathered is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Between two balances.
    pub balance: Duration,
    /// Between two sums.
    pub usage: Duration,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    /// The stream begins behind its position. Always the first: from here on the client has an id to come back with.
    Ready,
    /// A balance.
    Balance(Balance),
    /// An entry.
    Transaction(Box<ActivityRow>),
    /// An entry that is an alert.
    Alert(Box<ActivityRow>),
    /// Sums.
    Usage(Usage),
    /// Entries are missing: load anew what is shown, as of the position or later.
    Resync(&'static str),
    /// Since when nobody knows what was posted, in ms of the epoch; `None`: it is known again.
    Stale(Option<i64>),
}

/// One stream's state.
#[derive(Debug)]
pub struct Feed {
    topics: Topics,
    filter: ActivityFilter,
    intervals: Intervals,
    delivered: Position,
    /// Everything up to here was taken.
    read_seq: u64,
    /// Ascending; alerts are told by having one.
    entries: VecDeque<ActivityRow>,
    usage: Usage,
    balance: Option<Balance>,
    balance_sent: Option<(u64, Instant)>,
    usage_sent_at: Option<Instant>,
    is_ready: bool,
    resync: Option<&'static str>,
    stale: Option<i64>,
    is_told_stale: bool,
}

impl Feed {
    /// A stream that has delivered everything up to `position`. `filter` narrows transactions and sums.
    #[must_use]
    pub fn new(topics: Topics, filter: ActivityFilter, intervals: Intervals, position: Position) -> Self {
        let read_seq = match (topics.has_entries(), topics.usage) {
            (true, true) => position.transactions.min(position.usage),
            (false, true) => position.usage,
            (true | false, false) => position.transactions,
        };
        Self {
            topics,
            filter,
            intervals,
            delivered: position,
            read_seq,
            entries: VecDeque::new(),
            usage: Usage::after(position.usage),
            balance: None,
            balance_sent: None,
            usage_sent_at: None,
            is_ready: false,
            resync: None,
            stale: None,
            is_told_stale: false,
        }
    }

    /// The id of what went out last: everything up to it was delivered.
    #[must_use]
    pub fn position(&self) -> Position {
        self.delivered
    }

    /// The first entry that has not been taken.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.read_seq.saturating_add(1)
    }

    /// Whether entries are wanted at all, and not the balance alone.
    #[must_use]
    pub fn wants_entries(&self) -> bool {
        self.topics.has_entries() || self.topics.usage
    }

    /// Takes all entries from [`next_seq`](Self::next_seq) up to `to_seq`, ascending.
    pub fn take(&mut self, rows: Vec<ActivityRow>, to_seq: u64) {
        for mut row in rows {
            let is_new = row.seq > self.delivered.transactions;
            if row.alert.is_some() {
                let is_of_event = self.filter.event_ids.is_empty() || self.filter.event_ids.contains(&row.event_id);
                if self.topics.alerts && is_new && is_of_event {
                    self.entries.push_back(row);
                    continue;
                }
                row.alert = None;
            }
            if !self.filter.allows(&row) {
                continue;
            }
            if self.topics.usage && row.seq > self.delivered.usage {
                self.usage.add(&row);
            }
            if self.topics.transactions && is_new {
                self.entries.push_back(row);
            }
        }
        self.read_seq = self.read_seq.max(to_seq);
        self.usage.to_seq = self.usage.to_seq.max(self.read_seq);
    }

    /// Takes the newest balance. One before the stream's position is older than what the client saw: this process is
    /// behind the one it came from.
    pub fn take_balance(&mut self, balance: Balance) {
        if self.topics.balance && balance.seq >= self.read_seq {
            self.balance = Some(balance);
        }
    }

    /// Entries cannot be had: goes on behind `seq`.
    pub fn skip_to(&mut self, seq: u64, why: &'static str) {
        self.entries.clear();
        self.read_seq = seq;
        self.delivered = Position::at(seq);
        self.usage = Usage::after(seq);
        self.resync = Some(why);
    }

    /// Since when what is told may not be the newest, in ms of the epoch; `None`: it is.
    pub fn set_stale(&mut self, since_ms: Option<i64>) {
        self.stale = since_ms;
    }

    /// What goes out at `now`, if anything.
    pub fn pop(&mut self, now: Instant) -> Option<Out> {
        if !std::mem::replace(&mut self.is_ready, true) {
            return Some(Out::Ready);
        }
        if let Some(why) = self.resync.take() {
            return Some(Out::Resync(why));
        }
        if self.stale.is_some() != self.is_told_stale {
            self.is_told_stale = self.stale.is_some();
            return Some(Out::Stale(self.stale));
        }
        if let Some(row) = self.entries.pop_front() {
            self.delivered.transactions = row.seq;
            let row = Box::new(row);
            return Some(if row.alert.is_some() { Out::Alert(row) } else { Out::Transaction(row) });
        }
        // What is not listed needs no delivery.
        self.delivered.transactions = self.delivered.transactions.max(self.read_seq);
        if self.usage_is_due(now) {
            self.usage_sent_at = Some(now);
            self.delivered.usage = self.usage.to_seq;
            return Some(Out::Usage(std::mem::replace(&mut self.usage, Usage::after(self.delivered.usage))));
        }
        if self.usage.lines.is_empty() {
            self.delivered.usage = self.delivered.usage.max(self.read_seq);
            self.usage.after_seq = self.delivered.usage;
        }
        let due_at = self.balance_due_at(now)?;
        if due_at > now {
            return None;
        }
        let balance = self.balance.take()?;
        self.balance_sent = Some((balance.seq, now));
        if !self.wants_entries() {
            self.delivered = Position::at(balance.seq);
            self.read_seq = balance.seq;
        }
        Some(Out::Balance(balance))
    }

    /// When what is held back goes out.
    #[must_use]
    pub fn due_at(&self, now: Instant) -> Option<Instant> {
        let usage = (!self.usage.lines.is_empty()).then(|| self.usage_due_at(now));
        usage.into_iter().chain(self.balance_due_at(now)).min()
    }

    fn usage_is_due(&self, now: Instant) -> bool {
        let lines = self.usage.lines.len();
        lines > 0 && (lines >= USAGE_LINES_MAX || self.usage_due_at(now) <= now)
    }

    fn usage_due_at(&self, now: Instant) -> Instant {
        self.usage_sent_at.map_or(now, |sent_at| sent_at + self.intervals.usage)
    }

    /// `None`: there is no newer balance than the one that went out.
    fn balance_due_at(&self, now: Instant) -> Option<Instant> {
        let newest_seq = self.balance.as_ref()?.seq;
        match self.balance_sent {
            None => Some(now),
            Some((seq, _)) if seq >= newest_seq => None,
            Some((_, sent_at)) => Some(sent_at + self.intervals.balance),
        }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
