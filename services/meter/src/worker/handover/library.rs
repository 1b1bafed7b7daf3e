//! What the production code says of the states of this world: folding, deciding, checking a copy. All of it is a function of
//! its arguments, so that each answer is worked out once and kept.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Instant};

use parking_lot::RwLock;
use prost::Message as _;
use tollbooth_ledger::{AuditError, FoldError, Limits, PriceBooks, State, plant};
use tollbooth_schemas::v1::{LedgerRecord, SourceTopic, entry::Kind};

use super::{
    bounds::Bounds,
    sources::{NOW_MS, Sources, books},
};
use crate::{
    store::{self, Identity, LastRecord, Mismatch, Tag, hash_of_record},
    worker::{
        WorkerError,
        decide::{Decider, Rules},
        outside::SourceRecord as _,
        position::{Known, Misplaced, next_offset},
        producer::transactional_id,
        serve::Taken,
        transaction::{Part, parts},
    },
};

/// A ledger record's bytes, by what the production code tells records from each other by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Payload(u64);

/// What came of folding records one after the other, by which ones they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fold(u64);

impl Fold {
    /// Nothing was folded.
    pub(super) const NOTHING: Self = Self(0);
}

/// Why records make no state.
#[derive(Debug, Clone, PartialEq)]
enum Trouble {
    Fold(FoldError),
    Audit(AuditError),
}

/// A state, and what its ledger says.
pub(super) struct Folded {
    records: Vec<Payload>,
    state: Result<State, Trouble>,
    /// Offsets of usage and commands that have an entry, as bits.
    pub(super) sources: [u8; 2],
    /// An operation has two charges, or a source two entries.
    pub(super) is_doubled: bool,
}

impl Folded {
    pub(super) const fn is_sound(&self) -> bool {
        self.state.is_ok()
    }

    /// As a worker tells it.
    pub(super) fn check(&self) -> Result<(), WorkerError> {
        match &self.state {
            Ok(_) => Ok(()),
            Err(Trouble::Fold(error)) => Err(error.clone().into()),
            Err(Trouble::Audit(error)) => Err(error.clone().into()),
        }
    }
}

/// What a batch comes to.
#[derive(Debug)]
pub(super) struct Decided {
    /// Its record of the ledger.
    pub(super) payload: Option<Payload>,
    /// Offsets of usage that become dead letters, as bits.
    pub(super) dead: u8,
    /// The inputs' next offsets.
    pub(super) next: [i64; 2],
    /// The state with all of it.
    pub(super) after: Fold,
}

/// A batch, and what it is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) on: Fold,
    pub(super) from: [i64; 2],
    pub(super) until: [i64; 2],
}

/// All of it.
pub(super) struct Library {
    bounds: Bounds,
    sources: Sources,
    books: PriceBooks,
    limits: Limits,
    identity: Identity,
    payloads: RwLock<HashMap<Payload, Arc<Vec<u8>>>>,
    folds: RwLock<HashMap<Fold, Arc<Folded>>>,
    decided: RwLock<HashMap<Question, Arc<Decided>>>,
}

fn known<K: Eq + Hash, V>(of: &RwLock<HashMap<K, Arc<V>>>, key: &K) -> Option<Arc<V>> {
    of.read().get(key).map(Arc::clone)
}

fn bit(offset: i64) -> u8 {
    1 << u8::try_from(offset).expect("a small offset")
}

impl Library {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let limits = Limits::from_days(35, 3_600_000, 90).expect("limits");
        let identity = Identity {
            cluster_id: "cluster".to_owned(),
            ledger: "ledger".to_owned(),
            partition: 0,
            retention_weeks: limits.retention_weeks,
        };
        let nothing =
            Folded { records: Vec::new(), state: Ok(State::new(&limits)), sources: [0; 2], is_doubled: false };
        Self {
            bounds: bounds.clone(),
            sources: Sources::new(bounds),
            books: books(),
            limits,
            identity,
            payloads: RwLock::default(),
            folds: RwLock::new(HashMap::from([(Fold::NOTHING, Arc::new(nothing))])),
            decided: RwLock::default(),
        }
    }

    /// The transactional id of each meter, as its place among those that differ.
    pub(super) fn ids(&self) -> Vec<u8> {
        plant(self.bounds.defect);
        let names: Vec<String> =
            (0..self.bounds.meters).map(|meter| transactional_id("ledger", 0, meter.into())).collect();
        plant(None);
        let place = |name: &String| names.iter().position(|other| other == name).and_then(|at| u8::try_from(at).ok());
        names.iter().filter_map(place).collect()
    }

    /// What a transaction consists of.
    pub(super) fn parts(&self) -> &'static [Part] {
        plant(self.bounds.defect);
        let parts = parts();
        plant(None);
        parts
    }

    /// The ledger's first record, which opens the account.
    pub(super) fn opening(&self) -> Payload {
        let question = Question { on: Fold::NOTHING, from: [0, 0], until: [0, 1] };
        self.decide(question).payload.expect("an opening")
    }

    pub(super) fn bytes(&self, payload: Payload) -> Arc<Vec<u8>> {
        known(&self.payloads, &payload).expect("a record that was decided")
    }

    pub(super) fn last_record(&self, offset: i64, payload: Payload) -> LastRecord {
        LastRecord::of(offset, &self.bytes(payload))
    }

    pub(super) fn folded(&self, fold: Fold) -> Arc<Folded> {
        known(&self.folds, &fold).expect("a state that was folded")
    }

    /// A record folded on to a state.
    pub(super) fn fold(&self, before: Fold, payload: Payload) -> Fold {
        let mut named = before.0.to_be_bytes().to_vec();
        named.extend_from_slice(&payload.0.to_be_bytes());
        let after = Fold(hash_of_record(&named));
        if known(&self.folds, &after).is_none() {
            let mut records = self.folded(before).records.clone();
            records.push(payload);
            let folded = self.fold_anew(records);
            self.folds.write().insert(after, Arc::new(folded));
        }
        after
    }

    pub(super) fn fold_all(&self, records: impl Iterator<Item = Payload>) -> Fold {
        records.fold(Fold::NOTHING, |before, payload| self.fold(before, payload))
    }

    fn state_of(&self, records: &[Payload]) -> Result<State, Trouble> {
        let mut state = State::new(&self.limits);
        for payload in records {
            let record = LedgerRecord::decode(self.bytes(*payload).as_slice()).expect("a ledger record");
            state.fold(&record).map_err(Trouble::Fold)?;
        }
        state.drop_expired();
        state.audit().map_err(Trouble::Audit)?;
        Ok(state)
    }

    fn fold_anew(&self, records: Vec<Payload>) -> Folded {
        let (mut sources, mut operations, mut is_doubled) = ([0; 2], Vec::new(), false);
        for payload in &records {
            let record = LedgerRecord::decode(self.bytes(*payload).as_slice()).expect("a ledger record");
            for entry in record.entries {
                let topic = usize::from(entry.source_topic() == SourceTopic::Commands);
                is_doubled |= sources[topic] & bit(entry.source_offset) != 0;
                sources[topic] |= bit(entry.source_offset);
                if let Some(Kind::Usage(usage)) = entry.kind {
                    is_doubled |= operations.contains(&usage.operation_id);
                    operations.push(usage.operation_id);
                }
            }
        }
        Folded { state: self.state_of(&records), records, sources, is_doubled }
    }

    /// Decides a batch, as the worker does.
    pub(super) fn decide(&self, question: Question) -> Arc<Decided> {
        if let Some(decided) = known(&self.decided, &question) {
            return decided;
        }
        plant(self.bounds.defect);
        let decided = Arc::new(self.decide_anew(question));
        plant(None);
        self.decided.write().insert(question, Arc::clone(&decided));
        decided
    }

    fn decide_anew(&self, question: Question) -> Decided {
        let Question { on, from, until } = question;
        let before = self.folded(on);
        let state = before.state.as_ref().expect("a sound state");
        let [usage, commands] = [0, 1].map(|topic| self.sources.read(topic, from[topic], until[topic]));
        let taken = Taken { commands: vec![commands], usage: Some(usage), since: Instant::now() };
        let rules = Rules {
            books: self.books.clone(),
            limits: &self.limits,
            partitions: 1,
            input_generation: 0,
            now_ms: NOW_MS,
            traces: false,
        };
        let mut decider = Decider::new(state, rules);
        for batch in &taken.commands {
            decider.commands(crate::worker::outside::Batch::iter(batch)).expect("entries that follow from the state");
        }
        if let Some(usage) = &taken.usage {
            decider.usage(crate::worker::outside::Batch::iter(usage)).expect("entries that follow from the state");
        }
        let (delta, output) = decider.finish();
        let (mut payloads, mut after) = (Vec::new(), on);
        let sent: Result<(), ()> = output.records.each(0, NOW_MS, |_, bytes| {
            let payload = Payload(hash_of_record(bytes));
            self.payloads.write().insert(payload, Arc::new(bytes.to_vec()));
            payloads.push(payload);
            after = self.fold(after, payload);
            Ok(())
        });
        sent.expect("nothing that fails");
        assert!(payloads.len() <= 1, "one account has one record");
        // What is merged once it is committed is what somebody else folds.
        let mut merged = self.state_of(&before.records).expect("a sound state");
        merged.merge(delta);
        merged.drop_expired();
        assert_eq!(Ok(&merged), self.folded(after).state.as_ref(), "a merged state is the folded one");
        let dead = output.dead.iter().map(|letter| bit(letter.record.offset())).sum();
        Decided { payload: payloads.pop(), dead, next: taken.next_offsets(from), after }
    }

    /// Whether a copy may be folded on from where it stands.
    pub(super) fn check_copy(&self, next: i64, ledger: store::Bounds) -> Result<(), Mismatch> {
        let mut tag = Tag::new(&self.identity);
        tag.next_offset = next;
        tag.check(&self.identity, ledger.low, ledger.end)
    }

    /// Where an input is read on.
    pub(super) fn next_offset(
        &self,
        fold: Fold,
        topic: usize,
        committed: Option<i64>,
        end: i64,
    ) -> Result<i64, WorkerError> {
        let folded = self.folded(fold);
        let state = folded.state.as_ref().expect("a sound state");
        let source = [SourceTopic::Usage, SourceTopic::Commands][topic];
        let known = Known { committed, folded: state.folded_offset(0, source), low: 0, end };
        next_offset(known).map_err(|misplaced: Misplaced| misplaced.error("input".to_owned(), known))
    }
}
