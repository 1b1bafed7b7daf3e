//! What is done to the stack, and when: a function of the seed.

use std::time::Duration;

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::cluster::BROKERS;
use super::havoc::act_name;
use super::scene::{Disk, Fault, Link};
use crate::stack::Victim;

/// Acts of the long form.
const LONG_ACTS: usize = 42;
/// Acts of the broker's form, every other one a broker's death.
const BROKER_ACTS: usize = 32;

/// Of a stack.
const SERVICES: usize = 6;
/// By how much a clock jumps, in seconds: less than what is reported may lie in the future, and than a hold lasts.
const JUMP_S_MIN: i64 = 300;
const JUMP_S_MAX: i64 = 1_500;

/// How long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Each act once, about two minutes.
    Short,
    /// At least 30 kills.
    Long,
    /// Only broker and meters, again and again: what can leave a transaction behind.
    Broker,
    /// One round of the long run over three brokers: every kind of fault once.
    Round,
}

/// One thing that is done to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// SIGKILL from outside.
    Kill(Victim),
    /// The process kills itself at a fault point.
    Point(&'static str),
    /// A meter with stores is killed, and finds one of them gone, one set back and one that is another partition's.
    Stores,
    /// A meter stands still inside an open transaction for longer than its session lasts, then goes on as if nothing had
    /// happened.
    Zombie,
    /// SIGKILL of one of the three brokers, by its index.
    KillBroker(usize),
    /// Something happens to the connections of a pair of processes.
    Net(Link, Fault),
    /// A disk is full for a while.
    Full(Disk),
    /// The clock of a service jumps by so many seconds, and back; the service by its place on the path.
    Clock(usize, i64),
    /// A meter is killed and finds copies corrupt.
    Rot(Copies),
    /// ClickHouse is killed in the middle of an insert: all of it has come, or half.
    MidInsert {
        /// Whether all of it has.
        is_whole: bool,
    },
}

/// What a meter begins with beside the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Copies {
    /// On its own disk.
    Stores,
    /// Elsewhere.
    Checkpoints,
}

/// An act with its times.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What.
    pub act: Act,
    /// Quiet time before it.
    pub pause: Duration,
    /// How long a killed one stays down.
    pub down: Duration,
}

/// All acts, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order in which they are done.
    pub acts: Vec<Step>,
}

/// Inside an open transaction of a meter: entries are sent, nothing is committed.
pub const IN_TRANSACTION: &str = "meter.in_transaction";
/// Between the sink's intent and the insert.
pub const BEFORE_INSERT: &str = "sink.before_insert";
/// Between the insert into ClickHouse and the commit that says so.
pub const AFTER_INSERT: &str = "sink.after_insert";

/// Between the payment provider's yes and the ledger.
pub const PAYMENT_TAKEN: &str = "ingest.payment_taken";

/// Between two requests of a re-pricing: charges are made anew, nobody was told, and how far it is was not written.
pub const REPRICING_CHUNK: &str = "ingest.repricing_chunk";

impl Plan {
    /// Every act at least once, in the order that the seed gives; the long form goes on with random ones.
    #[must_use]
    pub fn new(form: Form, seed: u64) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let points = [IN_TRANSACTION, BEFORE_INSERT, AFTER_INSERT, PAYMENT_TAKEN, REPRICING_CHUNK].map(Act::Point);
        if form == Form::Broker {
            return Self::of_the_log(chance);
        }
        let mut acts: Vec<Act> = Victim::ALL.iter().copied().map(Act::Kill).chain(points).collect();
        acts.extend([Act::Zombie, Act::Stores]);
        if form == Form::Round {
            acts.retain(|act| *act != Act::Kill(Victim::Broker));
            acts.extend(of_the_scene(&mut chance));
        }
        let kinds = acts.clone();
        acts.shuffle(&mut chance);
        if form == Form::Long {
            while acts.len() < LONG_ACTS {
                // The list is not empty.
                acts.extend(kinds.choose(&mut chance));
            }
        }
        Self::timed(acts, chance)
    }

    /// Every broker's death has a meter's shortly before or after it.
    fn of_the_log(mut chance: ChaCha8Rng) -> Self {
        let meters = [Act::Kill(Victim::Meter(0)), Act::Kill(Victim::Meter(1)), Act::Point(IN_TRANSACTION)];
        let mut acts = Vec::with_capacity(BROKER_ACTS);
        while acts.len() < BROKER_ACTS {
            acts.extend(meters.choose(&mut chance));
            acts.push(Act::Kill(Victim::Broker));
        }
        Self::timed(acts, chance)
    }

    fn timed(acts: Vec<Act>, mut chance: ChaCha8Rng) -> Self {
        let mut between = |from_ms: u64, to_ms: u64| Duration::from_millis(chance.random_range(from_ms..to_ms));
        let acts =
            acts.into_iter().map(|act| Step { act, pause: between(300, 2_300), down: between(0, 2_500) }).collect();
        Self { acts }
    }

    /// Without the acts whose names contain none of these texts, which commas part.
    #[must_use]
    pub fn only(mut self, texts: &str) -> Self {
        self.acts.retain(|step| texts.split(',').any(|text| act_name(step.act).contains(text)));
        self
    }
}

/// Every kind that needs more than the stack: each broker's death, each pair's connections, each disk, each clock, each copy.
fn of_the_scene(chance: &mut ChaCha8Rng) -> Vec<Act> {
    let mut acts: Vec<Act> = (0..BROKERS).map(Act::KillBroker).collect();
    for link in Link::ALL {
        // The list is not empty.
        acts.extend(link.faults().choose(chance).map(|fault| Act::Net(link, *fault)));
    }
    acts.extend(Disk::ALL.map(Act::Full));
    for service in 0..SERVICES {
        let by_s = chance.random_range(JUMP_S_MIN..JUMP_S_MAX);
        acts.push(Act::Clock(service, if chance.random_bool(0.5) { by_s } else { -by_s }));
    }
    acts.extend([Copies::Stores, Copies::Checkpoints].map(Act::Rot));
    acts.extend([false, true].map(|is_whole| Act::MidInsert { is_whole }));
    acts
}
