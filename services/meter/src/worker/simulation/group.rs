//! The consumer group: who owns which partitions, as the coordinator says it. Eager protocol, static members.

use std::collections::BTreeMap;

/// A member that is not heard of for this long is dropped.
pub(super) const SESSION_TIMEOUT_MS: i64 = 10_000;
/// How long a round waits for members that have not joined it.
const REBALANCE_TIMEOUT_MS: i64 = 40_000;

/// Who a process is to the group: changes with every process, and where it was dropped.
pub(super) type MemberId = u64;

#[derive(Debug)]
struct Member {
    id: MemberId,
    heard_ms: i64,
    /// In the round that is under way.
    joined: bool,
    partitions: Vec<i32>,
}

/// What a heartbeat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Fine,
    /// Give everything back and join.
    Rebalancing,
    /// The group does not know this member.
    Unknown,
}

/// What a member was given.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) generation: u32,
    pub(super) partitions: Vec<i32>,
}

/// All of it; members by their static name, which is the meter's number.
#[derive(Debug)]
pub(super) struct Group {
    partitions: i32,
    generation: u32,
    members: BTreeMap<usize, Member>,
    round_since_ms: Option<i64>,
    ids: MemberId,
}

impl Group {
    pub(super) fn new(partitions: i32) -> Self {
        Self { partitions, generation: 0, members: BTreeMap::new(), round_since_ms: None, ids: 0 }
    }

    /// A process joins. One whose name has an assignment takes it over at once, and the process before it is no member
    /// any more.
    pub(super) fn join(&mut self, name: usize, known: Option<MemberId>, now_ms: i64) -> MemberId {
        if let (Some(id), Some(member)) = (known, self.members.get_mut(&name))
            && member.id == id
        {
            (member.heard_ms, member.joined) = (now_ms, true);
            return id;
        }
        self.ids += 1;
        let id = self.ids;
        if let Some(member) = self.members.get_mut(&name) {
            (member.id, member.heard_ms, member.joined) = (id, now_ms, true);
        } else {
            self.members.insert(name, Member { id, heard_ms: now_ms, joined: true, partitions: Vec::new() });
            self.begin_round(now_ms);
        }
        id
    }

    fn begin_round(&mut self, now_ms: i64) {
        if self.round_since_ms.is_none() {
            self.round_since_ms = Some(now_ms);
            let is_new = |member: &Member| member.partitions.is_empty() && member.heard_ms == now_ms;
            self.members.values_mut().for_each(|member| member.joined = is_new(member));
        }
    }

    pub(super) fn leave(&mut self, name: usize, id: MemberId, now_ms: i64) {
        if self.members.get(&name).is_some_and(|member| member.id == id) {
            self.members.remove(&name);
            self.begin_round(now_ms);
        }
    }

    pub(super) fn heartbeat(&mut self, name: usize, id: MemberId, now_ms: i64) -> Heard {
        match self.members.get_mut(&name) {
            Some(member) if member.id == id => {
                member.heard_ms = now_ms;
                if self.round_since_ms.is_some() { Heard::Rebalancing } else { Heard::Fine }
            }
            _ => Heard::Unknown,
        }
    }

    /// What the member was given, once the round is over.
    pub(super) fn assignment(&self, name: usize, id: MemberId) -> Option<Assignment> {
        let member = self.members.get(&name).filter(|member| member.id == id && self.round_since_ms.is_none())?;
        Some(Assignment { generation: self.generation, partitions: member.partitions.clone() })
    }

    /// Whether offsets of this member are taken.
    pub(super) fn takes_offsets(&self, name: usize, id: MemberId, generation: u32) -> bool {
        self.generation == generation && self.members.get(&name).is_some_and(|member| member.id == id)
    }

    /// Drops who is not heard of, and ends a round that is complete; gives back how many were dropped.
    pub(super) fn settle(&mut self, now_ms: i64) -> usize {
        let before = self.members.len();
        let round = self.round_since_ms;
        self.members.retain(|_, member| {
            let is_late = round.is_some_and(|since| now_ms - since > REBALANCE_TIMEOUT_MS) && !member.joined;
            now_ms - member.heard_ms <= SESSION_TIMEOUT_MS && !is_late
        });
        let dropped = before - self.members.len();
        if dropped > 0 {
            self.begin_round(now_ms);
        }
        if self.round_since_ms.is_some() && self.members.values().all(|member| member.joined) {
            self.round_since_ms = None;
            self.generation += 1;
            self.assign();
        }
        dropped
    }

    /// Ranges of partitions, in order of the names.
    fn assign(&mut self) {
        let count = i32::try_from(self.members.len()).expect("few members");
        for (index, member) in (0..).zip(self.members.values_mut()) {
            member.partitions =
                (0..self.partitions).filter(|partition| partition * count / self.partitions == index).collect();
        }
    }
}
