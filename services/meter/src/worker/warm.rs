//! States of partitions, over their assignments, and the memory that all of them may take.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tollbooth_ledger::{Limits, State};

use super::keep::Kept;
use crate::store::LastRecord;

/// What a partition's worker knows of its ledger.
#[derive(Debug)]
pub(super) struct Warm {
    pub(super) state: State,
    /// The ledger is folded up to here, exclusive.
    pub(super) ledger_position: Option<i64>,
    /// The record that was folded last.
    pub(super) last_record: Option<LastRecord>,
    /// Goes with the state: what memory let go of is there.
    pub(super) kept: Option<Kept>,
}

impl Warm {
    /// Nothing folded yet.
    pub(super) fn cold(limits: &Limits) -> Self {
        Self { state: State::new(limits), ledger_position: None, last_record: None, kept: None }
    }

    /// Memory that its operations take.
    fn bytes(&self) -> usize {
        self.state.operation_bytes() + self.kept.as_ref().map_or(0, |kept| kept.store.filter_bytes())
    }
}

/// One partition's place.
#[derive(Debug, Default)]
struct Place {
    /// What its operation ids take, parked or at work.
    bytes: AtomicUsize,
    /// Its state while no worker has it.
    parked: Mutex<Option<Warm>>,
}

/// States of the partitions that are not served here at the moment, and what all states of the process take.
#[derive(Debug)]
pub struct StateMemory {
    bytes_max: usize,
    places: Vec<Place>,
    /// Over the limit one worker at a time makes room, or two would give up where one is enough.
    making_room: Mutex<()>,
}

/// More than the limit, with every parked state dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverLimit {
    pub(super) used: usize,
    pub(super) limit: usize,
}

impl StateMemory {
    /// For a process that may come to own every partition; `bytes_max` for the operation ids of all of them.
    #[must_use]
    pub fn new(partitions: i32, bytes_max: usize) -> Self {
        let places = (0..partitions).map(|_| Place::default()).collect();
        Self { bytes_max, places, making_room: Mutex::new(()) }
    }

    fn place(&self, partition: i32) -> Option<&Place> {
        usize::try_from(partition).ok().and_then(|index| self.places.get(index))
    }

    fn used(&self) -> usize {
        self.places.iter().map(|place| place.bytes.load(Ordering::Relaxed)).sum()
    }

    /// Takes the parked state of a partition, if it was kept.
    pub(super) fn take(&self, partition: i32) -> Option<Warm> {
        self.place(partition).and_then(|place| place.parked.lock().take())
    }

    /// Keeps a state for the day the partition comes back.
    pub(super) fn park(&self, partition: i32, warm: Warm) {
        if let Some(place) = self.place(partition) {
            place.bytes.store(warm.bytes(), Ordering::Relaxed);
            *place.parked.lock() = Some(warm);
        }
    }

    /// The partition's state was dropped.
    pub(super) fn forget(&self, partition: i32) {
        if let Some(place) = self.place(partition) {
            place.bytes.store(0, Ordering::Relaxed);
        }
    }

    /// Notes what a partition at work takes. Over the limit, the parked states go first: they only save time. Where that
    /// is not enough the caller must let go of its own, which counts as gone from here on.
    pub(super) fn note(&self, partition: i32, bytes: usize) -> Result<(), OverLimit> {
        let Some(place) = self.place(partition) else { return Ok(()) };
        place.bytes.store(bytes, Ordering::Relaxed);
        if self.used() <= self.bytes_max {
            return Ok(());
        }
        let _one_at_a_time = self.making_room.lock();
        for (partition, parked) in self.places.iter().enumerate() {
            // Dropped outside of the lock's statement: a large state takes its time.
            let dropped = parked.parked.lock().take();
            if let Some(warm) = dropped {
                tracing::warn!(partition, "the state of a partition that is not served here is dropped to make room");
                drop(warm);
                parked.bytes.store(0, Ordering::Relaxed);
            }
        }
        let used = self.used();
        if used <= self.bytes_max {
            return Ok(());
        }
        place.bytes.store(0, Ordering::Relaxed);
        Err(OverLimit { used, limit: self.bytes_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warm() -> Warm {
        Warm { ledger_position: Some(7), ..Warm::cold(&Limits::from_days(35, 0, 90).unwrap()) }
    }

    #[test]
    fn a_state_is_kept_for_its_own_partition() {
        let memory = StateMemory::new(2, 100);
        memory.park(1, warm());
        assert!(memory.take(0).is_none());
        assert_eq!(memory.take(1).unwrap().ledger_position, Some(7));
        assert!(memory.take(1).is_none());
    }

    #[test]
    fn parked_states_make_room_before_a_partition_is_refused() {
        let memory = StateMemory::new(3, 100);
        memory.note(0, 60).unwrap();
        memory.park(0, warm());
        memory.places[0].bytes.store(60, Ordering::Relaxed);
        // Within the limit it stays.
        memory.note(1, 40).unwrap();
        assert!(memory.places[0].parked.lock().is_some());
        // Beyond it, it goes, and nobody is refused.
        memory.note(1, 41).unwrap();
        assert!(memory.take(0).is_none());
        assert_eq!(memory.used(), 41);
    }

    #[test]
    fn of_two_partitions_that_grow_one_is_refused() {
        let memory = StateMemory::new(2, 100);
        memory.note(0, 50).unwrap();
        assert_eq!(memory.note(1, 51), Err(OverLimit { used: 101, limit: 100 }));
        // The other one goes on: what was refused no longer counts.
        memory.note(0, 99).unwrap();
    }
}
