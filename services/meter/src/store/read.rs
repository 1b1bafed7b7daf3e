//! What comes out of a store when it is opened: all of it, so that every checksum is looked at.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::AtomicU64,
};

use fjall::{Database, Keyspace};
use prost::Message as _;
use tollbooth_ledger::{Digest, Key, Limits, State};

use super::{
    Filter, Identity, STATE, Store, StoreError, Tag, Week, hash_of, open_database, options,
    runs::{self, Run},
    state_key, week_key, week_of_name,
};

/// The ledger's first offset, and the one after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// First.
    pub low: i64,
    /// After the last.
    pub end: i64,
}

fn torn(what: impl Into<String>) -> StoreError {
    StoreError::Torn(what.into())
}

impl Store {
    /// Opens what lies in a directory, and reads it; `None`: nothing was ever written there.
    ///
    /// # Errors
    /// Why it is not used. It is to be removed then, unless another process has it.
    pub fn open(
        dir: &Path,
        cache_bytes: u64,
        identity: &Identity,
        limits: &Limits,
        ledger: Bounds,
    ) -> Result<Option<(Self, State)>, StoreError> {
        if !dir.try_exists().unwrap_or(true) {
            return Ok(None);
        }
        // The engine takes its own files for sound, and panics on some that are not.
        let read = || {
            let db = match open_database(dir, cache_bytes) {
                Err(StoreError::Engine(fjall::Error::Locked)) => return Err(StoreError::Locked),
                opened => opened?,
            };
            Self::read(db, identity, limits, ledger)
        };
        catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(StoreError::Panicked))
    }

    fn read(
        db: Database,
        identity: &Identity,
        limits: &Limits,
        ledger: Bounds,
    ) -> Result<Option<(Self, State)>, StoreError> {
        let state_table = db.keyspace(STATE, options)?;
        let Some(bytes) = state_table.get([state_key::TAG])? else {
            let is_empty = state_table.is_empty()? && db.list_keyspace_names().len() == 1;
            return if is_empty { Ok(None) } else { Err(torn("rows without a tag")) };
        };
        let tag = Tag::decode(&*bytes).map_err(tollbooth_ledger::ImageError::from)?;
        tag.check(identity, ledger.low, ledger.end)?;
        let state = read_state(&state_table, &tag, limits)?;
        let mut weeks = BTreeMap::new();
        for name in db.list_keyspace_names() {
            if let Some(number) = week_of_name(&name) {
                let keyspace = db.keyspace(&name, options)?;
                if keyspace.is_empty()? {
                    // Made, and then nothing was written.
                    db.delete_keyspace(keyspace)?;
                    continue;
                }
                weeks.insert(number, read_week(keyspace, number, tag.write)?);
            }
        }
        // A merge may have come through where the number of its run did not.
        let last_run = weeks.values().flat_map(|week: &Week| &week.runs).map(|run| run.id + 1).max();
        let tag = Tag { next_run: tag.next_run.max(last_run.unwrap_or_default()), ..tag };
        Ok(Some((Self { db, state: state_table, weeks, tag, reads: AtomicU64::new(0) }, state)))
    }
}

fn read_state(table: &Keyspace, tag: &Tag, limits: &Limits) -> Result<State, StoreError> {
    let mut state = State::restore(limits, &tag.head)?;
    for row in table.iter() {
        let (key, value) = row.into_inner()?;
        let Some((first, rest)) = key.split_first() else { return Err(torn("a row without a key")) };
        match *first {
            state_key::TAG => {}
            state_key::ACCOUNT => state.restore_account(text(rest)?, &value)?,
            state_key::EVENT => {
                let at = rest.iter().position(|byte| *byte == 0).ok_or_else(|| torn("an event without an id"))?;
                state.restore_event(text(&rest[..at])?, text(&rest[at + 1..])?, &value)?;
            }
            state_key::HOLD => state.restore_hold(digest(rest)?, &value)?,
            state_key::COUNTER => state.restore_counter(digest(rest)?, &value)?,
            other => return Err(torn(format!("a row of an unknown kind {other}"))),
        }
    }
    Ok(state)
}

fn text(bytes: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(bytes).map_err(|_| torn("an id that is no text"))
}

fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes.try_into().map(Digest::from_bytes).map_err(|_| torn("a key that is no digest"))
}

/// Every row of a week: its keys go into the filter, its blocks are counted.
fn read_week(keyspace: Keyspace, number: u16, write: u64) -> Result<Week, StoreError> {
    let mark = keyspace.get([week_key::MARK])?;
    if mark.as_deref() != Some(&write.to_be_bytes()[..]) {
        return Err(torn(format!("week {number} is not of write {write}")));
    }
    let mut runs = Vec::new();
    for row in keyspace.prefix([week_key::RUN]) {
        let (key, value) = row.into_inner()?;
        runs.push(Run::read(&key, &value).ok_or_else(|| torn("a run that is none"))?);
    }
    // Answers, ended holds and refunds are few beside the operations; a filter that overflows takes three times as much.
    let operations: usize = runs.iter().map(|run| run.operations).sum();
    let mut filter = Filter::with_room(operations + operations / 8 + 1024);
    let mut counted: HashMap<u32, usize> = HashMap::new();
    for row in keyspace.iter() {
        let (key, value) = row.into_inner()?;
        let Some((first, rest)) = key.split_first() else { return Err(torn("a row without a key")) };
        match *first {
            week_key::ANSWER => filter.insert(hash_of(&Key::Answer(digest(rest)?))),
            week_key::ENDED_HOLD => filter.insert(hash_of(&Key::Hold(digest(rest)?))),
            week_key::REFUND => filter.insert(hash_of(&Key::Refund(digest(rest)?))),
            week_key::RUN | week_key::MARK => {}
            week_key::OPERATIONS => {
                let (run, _) = Run::of_block(&key).ok_or_else(|| torn("a block that is none"))?;
                for (digest, _) in runs::unpacked(&value) {
                    filter.insert(hash_of(&Key::Operation(digest)));
                    *counted.entry(run).or_default() += 1;
                }
            }
            other => return Err(torn(format!("a row of an unknown kind {other}"))),
        }
    }
    if let Some(run) = runs.iter().find(|run| counted.remove(&run.id) != Some(run.operations)) {
        return Err(torn(format!("run {} of week {number} is not whole", run.id)));
    }
    if !counted.is_empty() {
        return Err(torn(format!("week {number} has blocks of no run")));
    }
    Ok(Week { keyspace, filter, runs })
}

/// Removes a store that is not used, so that the next one begins empty.
///
/// # Errors
/// When the disk fails.
pub fn remove(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
