//! What goes into a store.

use std::{path::Path, time::Instant};

use fjall::{OwnedWriteBatch, PersistMode};
use tollbooth_ledger::{Changes, Key, Table};

use super::{
    Filter, Folded, Identity, Store, StoreError, StoreSizes, Tag, Week, hash_of, key, open_database, options,
    prefix_of,
    runs::{self, Merge, Run},
    state_key, week_key, week_name,
};

impl Store {
    /// An empty one in an empty directory.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn create(dir: &Path, cache_bytes: u64, identity: &Identity) -> Result<Self, StoreError> {
        let db = open_database(dir, cache_bytes)?;
        let state = db.keyspace(super::STATE, options)?;
        if !state.is_empty()? || db.list_keyspace_names().len() > 1 {
            return Err(StoreError::Torn("the directory of a new store is not empty".to_owned()));
        }
        Ok(Self { db, state, weeks: std::collections::BTreeMap::new(), tag: Tag::new(identity), reads: 0.into() })
    }

    /// Writes all of it, or nothing: the ledger as far as it is `folded`, which must be committed. Weeks before `first_kept` go.
    ///
    /// # Errors
    /// When the disk fails: the store is to be given up.
    pub fn write(&mut self, changes: &Changes, folded: Folded, first_kept: u16) -> Result<(), StoreError> {
        let mut batch = self.db.batch();
        self.put_state(&mut batch, changes);
        let mut added = Vec::new();
        let mut next_run = self.tag.next_run;
        for (week, operations) in changes.operations.range(first_kept..) {
            let run = Run { id: next_run, level: 0, operations: operations.len() };
            next_run += 1;
            let keyspace = self.week(*week)?.keyspace.clone();
            for (key, value) in runs::blocks(run.id, operations) {
                batch.insert(&keyspace, key, value);
            }
            batch.insert(&keyspace, run.key(), run.value());
            added.push((*week, run));
        }
        for row in changes.rows.iter().filter(|row| row.week >= first_kept) {
            let keyspace = self.week(row.week)?.keyspace.clone();
            batch.insert(&keyspace, key(prefix_of(row.table), &[&row.key.to_bytes()]), row.bytes.as_slice());
        }
        let Folded { next_offset, last } = folded;
        let (write, head) = (self.tag.write + 1, changes.head.clone());
        let tag = Tag { next_offset, write, head, next_run, last, ..self.tag.clone() };
        for week in self.weeks.values() {
            batch.insert(&week.keyspace, [week_key::MARK], tag.write.to_be_bytes());
        }
        batch.insert(&self.state, [state_key::TAG], prost::Message::encode_to_vec(&tag));
        batch.commit()?;
        self.tag = tag;
        self.note(changes, &added, first_kept);
        self.drop_weeks_before(first_kept)
    }

    fn put_state(&self, batch: &mut OwnedWriteBatch, changes: &Changes) {
        for (id, bytes) in &changes.accounts {
            batch.insert(&self.state, key(state_key::ACCOUNT, &[id.as_bytes()]), bytes.as_slice());
        }
        for (account_id, event_id, bytes) in &changes.events {
            let key = key(state_key::EVENT, &[account_id.as_bytes(), &[0], event_id.as_bytes()]);
            batch.insert(&self.state, key, bytes.as_slice());
        }
        for (digest, hold) in &changes.holds {
            let key = key(state_key::HOLD, &[&digest.to_bytes()]);
            match hold {
                Some(bytes) => batch.insert(&self.state, key, bytes.as_slice()),
                None => batch.remove(&self.state, key),
            }
        }
        for (digest, counter) in &changes.counters {
            let key = key(state_key::COUNTER, &[&digest.to_bytes()]);
            match counter {
                Some(bytes) => batch.insert(&self.state, key, bytes.as_slice()),
                None => batch.remove(&self.state, key),
            }
        }
    }

    fn week(&mut self, week: u16) -> Result<&mut Week, StoreError> {
        if !self.weeks.contains_key(&week) {
            let keyspace = self.db.keyspace(&week_name(week), options)?;
            self.weeks.insert(week, Week { keyspace, filter: Filter::default(), runs: Vec::new() });
        }
        self.weeks.get_mut(&week).ok_or_else(|| StoreError::Torn(format!("{} is gone", week_name(week))))
    }

    /// Memory follows what was written.
    fn note(&mut self, changes: &Changes, added: &[(u16, Run)], first_kept: u16) {
        for (week, run) in added {
            if let Some(table) = self.weeks.get_mut(week) {
                table.runs.push(*run);
            }
        }
        for (week, operations) in changes.operations.range(first_kept..) {
            if let Some(table) = self.weeks.get_mut(week) {
                operations.iter().for_each(|(digest, _)| table.filter.insert(hash_of(&Key::Operation(*digest))));
            }
        }
        for row in &changes.rows {
            let key = match row.table {
                Table::Answers => Key::Answer(row.key),
                Table::EndedHolds => Key::Hold(row.key),
                Table::Refunds => Key::Refund(row.key),
            };
            if let Some(table) = self.weeks.get_mut(&row.week) {
                table.filter.insert(hash_of(&key));
            }
        }
    }

    fn drop_weeks_before(&mut self, first_kept: u16) -> Result<(), StoreError> {
        while let Some(first) = self.weeks.first_entry().filter(|first| *first.key() < first_kept) {
            let (week, table) = first.remove_entry();
            tracing::info!(week, operations = table.operations(), "operations of a week are forgotten");
            self.db.delete_keyspace(table.keyspace)?;
        }
        Ok(())
    }

    /// Merges small runs where a week has `fan_in` of one level; one merge at a time, so that it takes well below a
    /// second. `false`: there was nothing to do.
    ///
    /// # Errors
    /// When the disk fails: the store is to be given up.
    pub fn merge_runs(&mut self, fan_in: usize) -> Result<bool, StoreError> {
        let found = self.weeks.iter().find_map(|(week, table)| Some((*week, runs::to_merge(&table.runs, fan_in)?)));
        let Some((week, merge)) = found else { return Ok(false) };
        let started = Instant::now();
        let next_run = self.tag.next_run;
        let mut batch = self.db.batch();
        let Some(table) = self.weeks.get(&week) else { return Ok(false) };
        let (gone, new) = match merge {
            Merge::Enough(runs) => (runs.clone(), runs),
            Merge::Into(runs, level) => {
                let mut operations = Vec::with_capacity(runs.iter().map(|run| run.operations).sum());
                for run in &runs {
                    for key in runs::read(&table.keyspace, *run, &mut operations)? {
                        batch.remove(&table.keyspace, key);
                    }
                    batch.remove(&table.keyspace, run.key());
                }
                let operations = runs::merged(operations);
                for (key, value) in runs::blocks(next_run, &operations) {
                    batch.insert(&table.keyspace, key, value);
                }
                (runs, vec![Run { id: next_run, level, operations: operations.len() }])
            }
        };
        for run in &new {
            batch.insert(&table.keyspace, run.key(), run.value());
        }
        // The tables still say the same: their mark stays, the tag only takes the run's number.
        let tag = Tag { next_run: next_run + 1, ..self.tag.clone() };
        batch.insert(&self.state, [state_key::TAG], prost::Message::encode_to_vec(&tag));
        batch.commit()?;
        self.tag = tag;
        if let Some(table) = self.weeks.get_mut(&week) {
            table.runs.retain(|run| gone.iter().all(|gone| gone.id != run.id));
            table.runs.extend(new);
        }
        tracing::debug!(
            week,
            runs = gone.len(),
            elapsed_ms = started.elapsed().as_millis(),
            "runs of operations merged"
        );
        Ok(true)
    }

    /// Waits until the disk has everything: before a machine is turned off in order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<StoreSizes, StoreError> {
        self.db.persist(PersistMode::SyncAll)?;
        Ok(self.sizes())
    }
}
