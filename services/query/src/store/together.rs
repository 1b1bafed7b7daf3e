//! Questions of one shape about several accounts, put as one.
//!
//! What a question costs ClickHouse is mostly its planning and the opening of parts, whoever it is about; about many at once
//! it costs little more. Nobody waits so that others may join: as long as few are under way, of a shape and of all, each is
//! put at once, alone. Those that come meanwhile wait, and go together as soon as one of them has ended.
//!
//! Whoever's turn it is leads: takes those who wait by then as its followers, puts the question for itself and for them, and
//! tells them. A leader that goes away leaves its followers to the next one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::Histogram;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::timeout_at;

use super::StoreError;
use crate::budget::Budget;

/// How often who is led beyond its deadline looks whether it still is.
const LED_STEP: Duration = Duration::from_millis(100);
/// Questions of one shape under way at once.
const RUNNING_MAX: usize = 2;

/// Questions of shape `S` about `M`, to each of which the answer is a `T`.
#[derive(Debug)]
pub(super) struct Together<S: Hash + Eq + Clone, M, T> {
    lanes: Lanes<S, M, T>,
    members_max: usize,
    /// Of every shape.
    under_way: Arc<Semaphore>,
    under_way_max: usize,
    waited: Histogram,
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
    /// A leader puts the question for it.
    is_led: Arc<AtomicBool>,
}

/// What becomes of a question.
#[derive(Debug)]
enum Turn<S: Hash + Eq + Clone, M, T> {
    /// It has to be put, for the followers as well.
    Lead(Leading<S, M, T>),
    /// Another one put it, and the question took so long.
    Told(T, Duration),
    /// It has to be put for oneself: what was put for many was not answered.
    Alone,
}

/// The right to put a question. The next one has it when this is dropped; followers that were not told by then are among
/// them.
#[derive(Debug)]
struct Leading<S: Hash + Eq + Clone, M, T> {
    lanes: Lanes<S, M, T>,
    shape: S,
    followers: Vec<Waiting<S, M, T>>,
    is_over: bool,
}

impl<S: Hash + Eq + Clone, M, T> Together<S, M, T> {
    /// At most `members_max` in one question, and as many questions under way as `under_way` lets, of which none is yet. `waited` is told how long
    /// each waited until it was put, or was refused.
    pub(super) fn new(members_max: usize, under_way: Arc<Semaphore>, waited: Histogram) -> Self {
        let under_way_max = under_way.available_permits();
        Self { lanes: Arc::default(), members_max, under_way, under_way_max, waited }
    }

    /// Whether who has a place is among as many as may be under way.
    fn is_full(&self) -> bool {
        self.under_way_max > 1 && self.under_way.available_permits() == 0
    }

    /// What became of a question that has a place.
    fn judged<R>(&self, outcome: Result<R, StoreError>) -> Result<R, StoreError> {
        outcome.map_err(|error| if self.is_full() { error.in_a_crowd() } else { error })
    }

    /// Waits for the turn of a question about `member`; `is_led` while another one puts it.
    async fn turn(&self, shape: S, member: M, is_led: &Arc<AtomicBool>) -> Turn<S, M, T> {
        let turn = {
            let mut lanes = self.lanes.lock();
            let lane = lanes.entry(shape.clone()).or_insert_with(|| Lane { running: 0, waiting: VecDeque::new() });
            if lane.running < RUNNING_MAX {
                lane.running += 1;
                let lanes = Arc::clone(&self.lanes);
                return Turn::Lead(Leading { lanes, shape, followers: Vec::new(), is_over: false });
            }
            let (sender, turn) = oneshot::channel();
            lane.waiting.push_back(Waiting { member, turn: sender, is_led: Arc::clone(is_led) });
            turn
        };
        turn.await.unwrap_or(Turn::Alone)
    }

    /// The turn of a question about `member`, which is waited for as long as that and observed; who leads has a place among
    /// those that are under way.
    async fn wait_for_turn(
        &self,
        shape: S,
        member: M,
        wait: Duration,
    ) -> Result<(Turn<S, M, T>, Option<SemaphorePermit<'_>>), StoreError> {
        let deadline = tokio::time::Instant::now() + wait;
        // Where its end is not reached, dropping it observes: who is refused, and who goes away, has waited as well.
        let waiting = self.waited.start_timer();
        let is_led = Arc::new(AtomicBool::new(false));
        let turn = in_time(self.turn(shape, member, &is_led), &is_led, deadline).await?;
        let mut under_way = None;
        match &turn {
            Turn::Lead(_) => {
                let Ok(Ok(permit)) = timeout_at(deadline, self.under_way.acquire()).await else {
                    return Err(StoreError::Busy);
                };
                under_way = Some(permit);
                waiting.observe_duration();
            }
            // Up to when the leader put it.
            Turn::Told(_, took) => self.waited.observe((waiting.stop_and_discard() - took.as_secs_f64()).max(0.0)),
            Turn::Alone => waiting.observe_duration(),
        }
        // What another one put took its time for many.
        if let Some(budget) = Budget::current().filter(|_| under_way.is_none() || self.is_full()) {
            budget.crowd();
        }
        Ok((turn, under_way))
    }
}

impl<S: Hash + Eq + Clone, M: Clone, T> Together<S, M, T> {
    /// The answer to a question about `member`: as `alone` tells it, or as `many` does to each of those that it is given, in
    /// their order. It may wait for its turn for so long.
    ///
    /// What is asked for many is nobody's in particular: who follows spends the time that the question took, and no rows. To
    /// wait for one's turn costs nothing.
    ///
    /// # Errors
    /// What `alone` and `many` answer; [`StoreError::Busy`] where its turn does not come.
    pub(super) async fn ask<F>(
        &self,
        shape: S,
        member: M,
        wait: Duration,
        alone: impl Future<Output = Result<T, StoreError>>,
        many: impl FnOnce(Vec<M>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
    {
        if self.members_max <= 1 {
            return alone.await;
        }
        let (turn, _under_way) = self.wait_for_turn(shape, member.clone(), wait).await?;
        let mut leading = match turn {
            Turn::Told(told, took) => {
                if let Some(budget) = Budget::current() {
                    budget.spend(took, 0);
                }
                return Ok(told);
            }
            Turn::Alone => return alone.await,
            Turn::Lead(leading) => leading,
        };
        leading.gather(self.members_max - 1);
        let members: Vec<M> = std::iter::once(&member).chain(leading.followers()).cloned().collect();
        if members.len() == 1 {
            let told = self.judged(alone.await);
            drop(leading);
            return told;
        }
        let began = tokio::time::Instant::now();
        match self.judged(many(members).await) {
            Ok(told) => {
                let mut told = told.into_iter();
                let own = told.next();
                leading.tell(told, began.elapsed());
                match own {
                    Some(own) => Ok(own),
                    None => alone.await,
                }
            }
            // It was too much for all of them together, or one is too much of itself: each bears its own.
            Err(StoreError::TooLarge(_) | StoreError::OverTime) => {
                leading.give_up();
                self.judged(alone.await)
            }
            Err(error) => {
                leading.give_up();
                Err(error)
            }
        }
    }
}

/// A turn that comes by the deadline, or later where another one puts the question by then: that takes as long as it may.
async fn in_time<T>(
    turn: impl Future<Output = T>,
    is_led: &AtomicBool,
    deadline: tokio::time::Instant,
) -> Result<T, StoreError> {
    let mut turn = pin!(turn);
    let mut came = timeout_at(deadline, &mut turn).await;
    // The leader may go away.
    while came.is_err() && is_led.load(Ordering::Relaxed) {
        came = tokio::time::timeout(LED_STEP, &mut turn).await;
    }
    came.map_err(|_| StoreError::Busy)
}

impl<S: Hash + Eq + Clone, M, T> Leading<S, M, T> {
    /// Takes those who wait, as many as may go with it.
    fn gather(&mut self, followers_max: usize) {
        let mut lanes = self.lanes.lock();
        let Some(lane) = lanes.get_mut(&self.shape) else { return };
        lane.waiting.retain(|waiting| !waiting.turn.is_closed());
        let count = lane.waiting.len().min(followers_max);
        self.followers.extend(lane.waiting.drain(..count));
        self.followers.iter().for_each(|follower| follower.is_led.store(true, Ordering::Relaxed));
    }

    /// Whom the question is put for as well.
    fn followers(&self) -> impl Iterator<Item = &M> {
        self.followers.iter().map(|follower| &follower.member)
    }

    /// Tells each of them, in their order.
    fn tell(mut self, told: impl IntoIterator<Item = T>, took: Duration) {
        let mut told = told.into_iter();
        for follower in self.followers.drain(..) {
            // Who went away needs no answer; who gets none asks alone.
            let turn = told.next().map_or(Turn::Alone, |told| Turn::Told(told, took));
            drop(follower.turn.send(turn));
        }
    }

    /// Lets each of them ask alone.
    fn give_up(self) {
        self.tell([], Duration::ZERO);
    }
}

impl<S: Hash + Eq + Clone, M, T> Drop for Leading<S, M, T> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut lanes = self.lanes.lock();
        let Some(lane) = lanes.get_mut(&self.shape) else { return };
        for follower in self.followers.drain(..).rev() {
            follower.is_led.store(false, Ordering::Relaxed);
            lane.waiting.push_front(follower);
        }
        while let Some(next) = lane.waiting.pop_front() {
            let (lanes, shape) = (Arc::clone(&self.lanes), self.shape.clone());
            let leading = Self { lanes, shape, followers: Vec::new(), is_over: false };
            match next.turn.send(Turn::Lead(leading)) {
                // It went away: the next one.
                Err(Turn::Lead(mut leading)) => leading.is_over = true,
                _ => return,
            }
        }
        lane.running -= 1;
        if lane.running == 0 {
            lanes.remove(&self.shape);
        }
    }
}

#[cfg(test)]
#[path = "together_tests.rs"]
mod tests;
