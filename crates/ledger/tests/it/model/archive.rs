//! Rows outside of memory, as obvious as can be.

use std::collections::BTreeMap;

use tollbooth_ledger::{Changes, Digest, Key, Limits, Remembered, State, Table, looked_up};
use tollbooth_schemas::v1::LedgerRecord;

/// Everything that was ever written out, the newest row of each.
#[derive(Default, Clone)]
pub(crate) struct Archive {
    head: Vec<u8>,
    accounts: BTreeMap<Box<str>, Vec<u8>>,
    events: BTreeMap<(Box<str>, Box<str>), Vec<u8>>,
    holds: BTreeMap<Digest, Vec<u8>>,
    counters: BTreeMap<Digest, Vec<u8>>,
    operations: BTreeMap<Digest, (u16, Vec<u8>)>,
    rows: BTreeMap<(u8, Digest), (Table, u16, Vec<u8>)>,
}

const fn number(table: Table) -> u8 {
    match table {
        Table::Answers => 0,
        Table::EndedHolds => 1,
        Table::Refunds => 2,
    }
}

impl Archive {
    pub(crate) fn write(&mut self, changes: Changes) {
        let Changes { head, accounts, events, holds, counters, operations, rows } = changes;
        self.head = head;
        self.accounts.extend(accounts);
        self.events.extend(events.into_iter().map(|(account, event, bytes)| ((account, event), bytes)));
        for (key, hold) in holds {
            match hold {
                Some(bytes) => drop(self.holds.insert(key, bytes)),
                None => drop(self.holds.remove(&key)),
            }
        }
        for (key, counter) in counters {
            match counter {
                Some(bytes) => drop(self.counters.insert(key, bytes)),
                None => drop(self.counters.remove(&key)),
            }
        }
        for (week, operations) in operations {
            for (key, row) in operations {
                self.operations.insert(key, (week, row.to_vec()));
            }
        }
        for row in rows {
            self.rows.insert((number(row.table), row.key), (row.table, row.week, row.bytes));
        }
    }

    pub(crate) fn remembered(&self, key: &Key) -> Option<Remembered> {
        let row = |number: u8, digest: &Digest| {
            let (table, week, bytes) = self.rows.get(&(number, *digest))?;
            Some(Remembered::row(*table, *week, bytes).unwrap())
        };
        match key {
            Key::Operation(digest) => {
                let (week, bytes) = self.operations.get(digest)?;
                Some(Remembered::operation(*week, bytes).unwrap())
            }
            Key::Answer(digest) => row(0, digest),
            Key::Hold(digest) => row(1, digest),
            Key::Refund(digest) => row(2, digest),
        }
    }

    /// What a process makes of it that has nothing in memory.
    pub(crate) fn restore(&self, limits: &Limits) -> State {
        let mut state = State::restore(limits, &self.head).unwrap();
        state.keep_changes();
        for (id, bytes) in &self.accounts {
            state.restore_account(id, bytes).unwrap();
        }
        for ((account, event), bytes) in &self.events {
            state.restore_event(account, event, bytes).unwrap();
        }
        for (key, bytes) in &self.holds {
            state.restore_hold(*key, bytes).unwrap();
        }
        for (key, bytes) in &self.counters {
            state.restore_counter(*key, bytes).unwrap();
        }
        state
    }

    /// The ledger's tail, on top of it.
    pub(crate) fn fold(&self, state: &mut State, records: &[LedgerRecord]) {
        for record in records {
            for key in record.entries.iter().flat_map(|entry| looked_up(&record.account_id, entry)) {
                if !state.knows(&key)
                    && let Some(row) = self.remembered(&key)
                {
                    state.recall(key.digest(), row);
                }
            }
            state.fold(record).unwrap();
        }
    }
}
