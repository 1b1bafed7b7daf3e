//! Questions of one shape about several accounts, put as one.
//!
//! What a question costs ClickHouse is mostly its planning and the opening of parts, whoever it is about; about many at once
//! it costs little more. Nobody waits so that others may join: as long as few of a shape are under way each is put at
//! once, alone. Those that come meanwhile wait, and go together as soon as one of them has ended.
//!
//! Whoever's turn it is leads: puts the question for itself and for its followers, and tells them. A leader that goes away
//! leaves its followers to the next one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Questions of one shape under way at once.
const RUNNING_MAX: usize = 2;

/// Questions of shape `S` about `M`, to each of which the answer is a `T`.
#[derive(Debug)]
pub(super) struct Together<S: Hash + Eq + Clone, M, T> {
    lanes: Lanes<S, M, T>,
    members_max: usize,
}

type Lanes<S, M, T> = Arc<Mutex<HashMap<S, Lane<S, M, T>>>>;

#[derive(Debug)]
struct Lane<S: Hash + Eq + Clone, M, T> {
    running: usize,
    waiting: VecDeque<Waiting<S, M, T>>,
}

#[derive(Debug)]
struct Waiting<S: Hash + Eq + Clone, M, T> {
    member: M,
    turn: oneshot::Sender<Turn<S, M, T>>,
}

/// What becomes of a question.
#[derive(Debug)]
pub(super) enum Turn<S: Hash + Eq + Clone, M, T> {
    /// It has to be put, for the followers as well.
    Lead(Leading<S, M, T>),
    /// Another one put it.
    Told(T),
    /// It has to be put for oneself: what was put for many was not answered.
    Alone,
}

/// The right to put a question. The next one has it when this is dropped; followers that were not told by then are among
/// them.
#[derive(Debug)]
pub(super) struct Leading<S: Hash + Eq + Clone, M, T> {
    lanes: Lanes<S, M, T>,
    shape: S,
    members_max: usize,
    followers: Vec<Waiting<S, M, T>>,
    is_over: bool,
}

impl<S: Hash + Eq + Clone, M, T> Together<S, M, T> {
    /// At most `members_max` in one question.
    pub(super) fn new(members_max: usize) -> Self {
        Self { lanes: Arc::default(), members_max }
    }

    /// Waits for the turn of a question about `member`.
    pub(super) async fn turn(&self, shape: S, member: M) -> Turn<S, M, T> {
        let turn = {
            let mut lanes = self.lanes.lock();
            let lane = lanes.entry(shape.clone()).or_insert_with(|| Lane { running: 0, waiting: VecDeque::new() });
            if lane.running < RUNNING_MAX {
                lane.running += 1;
                let (lanes, members_max) = (Arc::clone(&self.lanes), self.members_max);
                return Turn::Lead(Leading { lanes, shape, members_max, followers: Vec::new(), is_over: false });
            }
            let (sender, turn) = oneshot::channel();
            lane.waiting.push_back(Waiting { member, turn: sender });
            turn
        };
        turn.await.unwrap_or(Turn::Alone)
    }
}

impl<S: Hash + Eq + Clone, M, T> Leading<S, M, T> {
    /// Whom the question is put for as well.
    pub(super) fn followers(&self) -> impl Iterator<Item = &M> {
        self.followers.iter().map(|follower| &follower.member)
    }

    /// Tells each of them, in their order.
    pub(super) fn tell(mut self, told: impl IntoIterator<Item = T>) {
        let mut told = told.into_iter();
        for follower in self.followers.drain(..) {
            // Who went away needs no answer; who gets none asks alone.
            let turn = told.next().map_or(Turn::Alone, Turn::Told);
            drop(follower.turn.send(turn));
        }
    }

    /// Lets each of them ask alone.
    pub(super) fn give_up(self) {
        self.tell([]);
    }
}

impl<S: Hash + Eq + Clone, M, T> Drop for Leading<S, M, T> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut untold = std::mem::take(&mut self.followers);
        loop {
            let (leader, followers) = {
                let mut lanes = self.lanes.lock();
                let Some(lane) = lanes.get_mut(&self.shape) else { return };
                for follower in untold.drain(..).rev() {
                    lane.waiting.push_front(follower);
                }
                lane.waiting.retain(|waiting| !waiting.turn.is_closed());
                let Some(leader) = lane.waiting.pop_front() else {
                    lane.running -= 1;
                    if lane.running == 0 {
                        lanes.remove(&self.shape);
                    }
                    return;
                };
                let count = lane.waiting.len().min(self.members_max.saturating_sub(1));
                (leader, lane.waiting.drain(..count).collect())
            };
            let leading = Self {
                lanes: Arc::clone(&self.lanes),
                shape: self.shape.clone(),
                members_max: self.members_max,
                followers,
                is_over: false,
            };
            match leader.turn.send(Turn::Lead(leading)) {
                // It went away just now: the next one.
                Err(Turn::Lead(mut leading)) => {
                    leading.is_over = true;
                    untold = std::mem::take(&mut leading.followers);
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
#[path = "together_tests.rs"]
mod tests;
