//! The log: partitions, transactions with epochs, a group's offsets. As Kafka's, where a meter can tell the difference.

use std::{collections::BTreeMap, rc::Rc};

/// A transaction that is open for longer is aborted by the coordinator, and its producer thrown out.
pub(super) const TRANSACTION_TIMEOUT_MS: i64 = 15_000;

/// A record, or the marker of a transaction's end.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// On the clock of the simulation.
    pub(super) at_ms: i64,
    txn: Option<usize>,
    is_marker: bool,
}

impl Stored {
    pub(super) fn new(key: &[u8], payload: &[u8], headers: Vec<(String, Vec<u8>)>) -> Self {
        Self { key: key.to_vec(), payload: payload.to_vec(), headers, at_ms: 0, txn: None, is_marker: false }
    }
}

/// Which partition of which topic.
pub(super) type Place = (Rc<str>, i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Txn {
    Open,
    Committed,
    Aborted,
}

#[derive(Debug, Default)]
struct PartitionLog {
    records: Vec<Rc<Stored>>,
    /// First offset of each open transaction.
    open: BTreeMap<usize, usize>,
}

/// An open transaction.
#[derive(Debug)]
struct Open {
    txn: usize,
    since_ms: i64,
    places: Vec<Place>,
    offsets: Vec<(Place, i64)>,
}

/// What the coordinator knows of a transactional id.
#[derive(Debug, Default)]
struct Coordinated {
    epoch: u32,
    open: Option<Open>,
}

/// Another producer with the same id took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fenced;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Log {
    partitions: BTreeMap<Place, PartitionLog>,
    txns: Vec<Txn>,
    coordinated: BTreeMap<String, Coordinated>,
    committed: BTreeMap<Place, i64>,
}

fn offset_of(index: usize) -> i64 {
    i64::try_from(index).expect("a short log")
}

fn index_of(offset: i64) -> usize {
    usize::try_from(offset).expect("an offset")
}

impl Log {
    /// Appends outside of any transaction; gives back the offset.
    pub(super) fn append(&mut self, place: &Place, record: Stored, now_ms: i64) -> i64 {
        let partition = self.partitions.entry(place.clone()).or_default();
        partition.records.push(Rc::new(Stored { at_ms: now_ms, ..record }));
        offset_of(partition.records.len() - 1)
    }

    /// The offset after the newest record or marker.
    pub(super) fn end(&self, place: &Place) -> i64 {
        self.partitions.get(place).map_or(0, |partition| offset_of(partition.records.len()))
    }

    /// The offset below which no transaction is open.
    pub(super) fn stable(&self, place: &Place) -> i64 {
        let first_open = self.partitions.get(place).and_then(|partition| partition.open.values().min());
        first_open.map_or_else(|| self.end(place), |index| offset_of(*index))
    }

    /// Committed records from `position` on that were appended by `until_ms`, at most `max`, and the next position.
    pub(super) fn read(
        &self,
        place: &Place,
        position: i64,
        max: usize,
        until_ms: i64,
    ) -> (Vec<(i64, Rc<Stored>)>, i64) {
        let (mut taken, mut next) = (Vec::new(), position);
        let Some(partition) = self.partitions.get(place) else { return (taken, next) };
        let stable = self.stable(place);
        while next < stable && taken.len() < max {
            let stored = &partition.records[index_of(next)];
            if stored.at_ms > until_ms {
                break;
            }
            let is_aborted = stored.txn.is_some_and(|txn| self.txns[txn] == Txn::Aborted);
            if !stored.is_marker && !is_aborted {
                taken.push((next, Rc::clone(stored)));
            }
            next += 1;
        }
        (taken, next)
    }

    /// Everything that is committed.
    pub(super) fn all(&self, place: &Place) -> Vec<(i64, Rc<Stored>)> {
        self.read(place, 0, usize::MAX, i64::MAX).0
    }

    pub(super) fn committed_offset(&self, place: &Place) -> Option<i64> {
        self.committed.get(place).copied()
    }

    /// A new epoch of a transactional id; what an older one left open is aborted.
    pub(super) fn init(&mut self, id: &str, now_ms: i64) -> u32 {
        let coordinated = self.coordinated.entry(id.to_owned()).or_default();
        coordinated.epoch += 1;
        let epoch = coordinated.epoch;
        if let Some(open) = coordinated.open.take() {
            self.finish(open, Txn::Aborted, now_ms);
        }
        epoch
    }

    fn open(&mut self, id: &str, epoch: u32, now_ms: i64) -> Result<&mut Open, Fenced> {
        let coordinated = self.coordinated.get_mut(id).filter(|known| known.epoch == epoch).ok_or(Fenced)?;
        let txns = &mut self.txns;
        Ok(coordinated.open.get_or_insert_with(|| {
            txns.push(Txn::Open);
            Open { txn: txns.len() - 1, since_ms: now_ms, places: Vec::new(), offsets: Vec::new() }
        }))
    }

    /// Appends in the open transaction, and begins one where there is none.
    pub(super) fn produce(
        &mut self,
        id: &str,
        epoch: u32,
        place: &Place,
        record: Stored,
        now_ms: i64,
    ) -> Result<i64, Fenced> {
        let open = self.open(id, epoch, now_ms)?;
        if !open.places.contains(place) {
            open.places.push(place.clone());
        }
        let txn = open.txn;
        let partition = self.partitions.entry(place.clone()).or_default();
        partition.open.entry(txn).or_insert(partition.records.len());
        partition.records.push(Rc::new(Stored { at_ms: now_ms, txn: Some(txn), ..record }));
        Ok(offset_of(partition.records.len() - 1))
    }

    /// Adds the group's offsets to the open transaction.
    pub(super) fn add_offsets(
        &mut self,
        id: &str,
        epoch: u32,
        offsets: Vec<(Place, i64)>,
        now_ms: i64,
    ) -> Result<(), Fenced> {
        self.open(id, epoch, now_ms)?.offsets.extend(offsets);
        Ok(())
    }

    /// Commits or aborts what is open, records and offsets alike.
    pub(super) fn end_transaction(&mut self, id: &str, epoch: u32, commits: bool, now_ms: i64) -> Result<(), Fenced> {
        let coordinated = self.coordinated.get_mut(id).filter(|known| known.epoch == epoch).ok_or(Fenced)?;
        if let Some(open) = coordinated.open.take() {
            self.finish(open, if commits { Txn::Committed } else { Txn::Aborted }, now_ms);
        }
        Ok(())
    }

    fn finish(&mut self, open: Open, outcome: Txn, now_ms: i64) {
        self.txns[open.txn] = outcome;
        for place in &open.places {
            let partition = self.partitions.entry(place.clone()).or_default();
            partition.open.remove(&open.txn);
            let marker = Stored { at_ms: now_ms, is_marker: true, ..Stored::new(&[], &[], Vec::new()) };
            partition.records.push(Rc::new(marker));
        }
        if outcome == Txn::Committed {
            self.committed.extend(open.offsets);
        }
    }

    /// Ends transactions that are open for too long; gives back how many.
    pub(super) fn expire(&mut self, now_ms: i64) -> usize {
        let mut expired = Vec::new();
        for coordinated in self.coordinated.values_mut() {
            let is_late = |open: &mut Open| now_ms - open.since_ms > TRANSACTION_TIMEOUT_MS;
            if let Some(open) = coordinated.open.take_if(is_late) {
                coordinated.epoch += 1;
                expired.push(open);
            }
        }
        let count = expired.len();
        expired.into_iter().for_each(|open| self.finish(open, Txn::Aborted, now_ms));
        count
    }
}
