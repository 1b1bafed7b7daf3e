//! The log as the model sees it: the ledger's partition, its transactions, the group's offsets. As Kafka's: a transaction is
//! decided first, and then its markers are written, one partition after the other.

use super::library::Payload;

/// A record of the ledger, or the marker of a transaction's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stored {
    Record { payload: Payload, id: u8, fate: Fate },
    Marker,
}

/// What a reader can tell of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// No marker stands behind it.
    Open,
    Committed,
    Aborted,
}

/// A transaction that has a partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Open {
    by: u8,
    writes_ledger: bool,
    offsets: Option<[i64; 2]>,
    /// Offsets of usage that became dead letters, as bits.
    dead: u8,
}

/// Where the coordinator stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Idle,
    Open(Open),
    /// Decided; markers are due.
    Ending {
        open: Open,
        commits: bool,
        ledger_due: bool,
        offsets_due: bool,
    },
}

/// What the coordinator knows of a transactional id. Epochs are told by whose the newest is, if it is anybody's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Coordinated {
    holder: Option<u8>,
    phase: Phase,
}

/// The producer's epoch is not the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fenced;

/// Whether a call came through, or is tried again by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// A transaction is ending: its markers first.
    Later,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Log {
    ledger: Vec<Stored>,
    ids: Vec<Coordinated>,
    /// The group's offsets of usage and commands, as it is asked for them.
    pub(super) offsets: [Option<i64>; 2],
    /// Committed dead letters of usage, as bits of their offsets.
    pub(super) dead: u8,
    pub(super) is_dead_twice: bool,
}

fn offset_of(index: usize) -> i64 {
    i64::try_from(index).expect("a short log")
}

impl Log {
    /// With the entry that opens the account.
    pub(super) fn new(opening: Payload, ids: u8) -> Self {
        Self {
            ledger: vec![Stored::Record { payload: opening, id: 0, fate: Fate::Committed }, Stored::Marker],
            ids: vec![Coordinated { holder: None, phase: Phase::Idle }; ids.into()],
            offsets: [None, Some(1)],
            dead: 0,
            is_dead_twice: false,
        }
    }

    pub(super) fn end(&self) -> i64 {
        offset_of(self.ledger.len())
    }

    /// The offset below which no transaction is open.
    pub(super) fn stable(&self) -> i64 {
        let is_open = |stored: &Stored| matches!(stored, Stored::Record { fate: Fate::Open, .. });
        offset_of(self.ledger.iter().position(is_open).unwrap_or(self.ledger.len()))
    }

    /// Records from `position` to `until`, exclusive: committed ones below the stable offset or all there are, and the next
    /// position.
    pub(super) fn read(&self, position: i64, until: i64, is_committed: bool) -> (Vec<(i64, Payload)>, i64) {
        let until = if is_committed { self.stable() } else { self.end() }.min(until);
        let mut taken = Vec::new();
        for (offset, stored) in (0..until).zip(&self.ledger).filter(|(offset, _)| *offset >= position) {
            if let Stored::Record { payload, fate, .. } = stored
                && (*fate == Fate::Committed || !is_committed)
            {
                taken.push((offset, *payload));
            }
        }
        (taken, until.max(position))
    }

    /// Records that are committed, whether a marker says so yet or not.
    pub(super) fn decided(&self) -> impl Iterator<Item = (i64, Payload)> {
        self.ledger.iter().zip(0..).filter_map(|(stored, offset)| match stored {
            Stored::Record { payload, fate: Fate::Committed, .. } => Some((offset, *payload)),
            Stored::Record { payload, fate: Fate::Open, id } if self.commits(*id) => Some((offset, *payload)),
            _ => None,
        })
    }

    fn commits(&self, id: u8) -> bool {
        matches!(self.ids[usize::from(id)].phase, Phase::Ending { commits: true, .. })
    }

    /// The group's offsets, with those that are committed and not to be seen yet.
    pub(super) fn decided_offsets(&self) -> [Option<i64>; 2] {
        let ending = self.ids.iter().find_map(|known| match &known.phase {
            Phase::Ending { open, commits: true, offsets_due: true, .. } => open.offsets,
            _ => None,
        });
        ending.map_or(self.offsets, |offsets| offsets.map(Some))
    }

    pub(super) fn phase(&self, id: u8) -> &Phase {
        &self.ids[usize::from(id)].phase
    }

    /// Who has a transaction open, that is not decided.
    pub(super) fn opened_by(&self, id: u8) -> Option<u8> {
        match self.phase(id) {
            Phase::Open(open) => Some(open.by),
            _ => None,
        }
    }

    pub(super) fn ids(&self) -> u8 {
        u8::try_from(self.ids.len()).expect("few")
    }

    /// `InitProducerId`: a new epoch. What an older one left open is aborted first, and every marker is waited for.
    pub(super) fn init(&mut self, id: u8, by: u8) -> Answer {
        let known = &mut self.ids[usize::from(id)];
        match &known.phase {
            Phase::Idle => {
                known.holder = Some(by);
                Answer::Done
            }
            Phase::Open(_) => {
                self.expire(id);
                Answer::Later
            }
            Phase::Ending { .. } => Answer::Later,
        }
    }

    /// The coordinator aborts what is open, under an epoch that is nobody's.
    pub(super) fn expire(&mut self, id: u8) {
        self.ids[usize::from(id)].holder = None;
        self.decide(id, false);
    }

    /// Opens the transaction where it is not, and adds to it.
    fn add(&mut self, id: u8, by: u8, add: impl FnOnce(&mut Open)) -> Result<Answer, Fenced> {
        let known = &mut self.ids[usize::from(id)];
        if known.holder != Some(by) {
            return Err(Fenced);
        }
        match &mut known.phase {
            Phase::Ending { .. } => return Ok(Answer::Later),
            Phase::Open(open) => add(open),
            Phase::Idle => {
                let mut open = Open { by, writes_ledger: false, offsets: None, dead: 0 };
                add(&mut open);
                known.phase = Phase::Open(open);
            }
        }
        Ok(Answer::Done)
    }

    /// `AddPartitionsToTxn`, of the ledger and of the dead letters. These are taken for appended: nobody reads them.
    pub(super) fn add_partitions(&mut self, id: u8, by: u8, ledger: bool, dead: u8) -> Result<Answer, Fenced> {
        self.add(id, by, |open| {
            open.writes_ledger |= ledger;
            open.dead |= dead;
        })
    }

    /// A record reaches the ledger's partition: after its transaction's marker, which has a newer epoch, it is refused.
    pub(super) fn append(&mut self, id: u8, by: u8, payload: Payload) -> Result<i64, Fenced> {
        let is_unmarked = match self.phase(id) {
            Phase::Open(open) | Phase::Ending { open, ledger_due: true, .. } => open.by == by,
            Phase::Ending { .. } | Phase::Idle => false,
        };
        if !is_unmarked {
            return Err(Fenced);
        }
        self.ledger.push(Stored::Record { payload, id, fate: Fate::Open });
        Ok(self.end() - 1)
    }

    /// `AddOffsetsToTxn` and `TxnOffsetCommit`; `None`: the group does not take them.
    pub(super) fn add_offsets(&mut self, id: u8, by: u8, offsets: Option<[i64; 2]>) -> Result<Answer, Fenced> {
        self.add(id, by, |open| open.offsets = offsets.or(open.offsets))
    }

    /// `EndTxn`. Nothing was added: nothing to end.
    pub(super) fn end_transaction(&mut self, id: u8, by: u8, commits: bool) -> Result<Answer, Fenced> {
        let known = &self.ids[usize::from(id)];
        if known.holder != Some(by) {
            return Err(Fenced);
        }
        match known.phase {
            Phase::Idle => Ok(Answer::Done),
            Phase::Ending { .. } => Ok(Answer::Later),
            Phase::Open(_) => {
                self.decide(id, commits);
                Ok(Answer::Done)
            }
        }
    }

    fn decide(&mut self, id: u8, commits: bool) {
        let known = &mut self.ids[usize::from(id)];
        let Phase::Open(open) = std::mem::replace(&mut known.phase, Phase::Idle) else { return };
        if commits {
            self.is_dead_twice |= self.dead & open.dead != 0;
            self.dead |= open.dead;
        }
        let (ledger_due, offsets_due) = (open.writes_ledger, open.offsets.is_some());
        if ledger_due || offsets_due {
            known.phase = Phase::Ending { open, commits, ledger_due, offsets_due };
        }
    }

    /// The marker reaches the ledger.
    pub(super) fn mark_ledger(&mut self, id: u8) {
        let is_committed = self.commits(id);
        for stored in &mut self.ledger {
            if let Stored::Record { id: of, fate: fate @ Fate::Open, .. } = stored
                && *of == id
            {
                *fate = if is_committed { Fate::Committed } else { Fate::Aborted };
            }
        }
        self.ledger.push(Stored::Marker);
        self.marked(id, |ledger_due, _| *ledger_due = false);
    }

    /// The marker reaches the group's offsets.
    pub(super) fn mark_offsets(&mut self, id: u8) {
        if let Phase::Ending { open, commits: true, .. } = self.phase(id)
            && let Some(offsets) = open.offsets
        {
            self.offsets = offsets.map(Some);
        }
        self.marked(id, |_, offsets_due| *offsets_due = false);
    }

    fn marked(&mut self, id: u8, mark: impl FnOnce(&mut bool, &mut bool)) {
        let phase = &mut self.ids[usize::from(id)].phase;
        if let Phase::Ending { ledger_due, offsets_due, .. } = phase {
            mark(ledger_due, offsets_due);
            if !*ledger_due && !*offsets_due {
                *phase = Phase::Idle;
            }
        }
    }

    /// Offsets that are committed by themselves, outside of any transaction: a mistake.
    pub(super) fn commit_offsets(&mut self, offsets: [i64; 2]) {
        self.offsets = offsets.map(Some);
    }
}
