//! The audit trail, as a service writes it; what stands in it says [`tollbooth_schemas::audit`].
//!
//! The order is the promise: [`Trail::around`] has the first record acknowledged by all in-sync replicas before anything is
//! done. Where the brokers do not take it, nothing is done and the answer is 503. What became of it is written afterwards
//! and waited for a moment only: an action that was carried out is answered as one, also where its end could not be told.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use rdkafka::error::KafkaError;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tollbooth_schemas::AccountId;
use tollbooth_schemas::audit::{AuditActor, AuditEnded, AuditOutcome, AuditRecord, AuditStarted};

use crate::auth::Principal;
use crate::http::RequestId;
use crate::kafka::NoteProducer;
use crate::problem::Problem;

/// How long the end of an action is waited for before it is answered.
pub const END_PATIENCE: Duration = Duration::from_secs(1);
const RETRY_AFTER_S: u32 = 1;

/// What somebody is about to do.
#[derive(Debug)]
pub struct Action(AuditStarted);

impl Action {
    /// `name` is a code such as `post_adjustment`.
    #[must_use]
    pub fn new(actor: &Principal, request_id: &RequestId, name: &str) -> Self {
        Self(AuditStarted {
            audit_id: new_id(),
            actor: AuditActor { key_id: actor.key_id.clone(), kind: actor.kind },
            action: name.to_owned(),
            account_id: None,
            resource: None,
            idempotency_key: None,
            request_id: request_id.as_str().to_owned(),
        })
    }

    /// On this account.
    #[must_use]
    pub fn account(mut self, account_id: Option<&AccountId>) -> Self {
        self.0.account_id = account_id.cloned();
        self
    }

    /// On this, by its id.
    #[must_use]
    pub fn resource(mut self, id: Option<&str>) -> Self {
        self.0.resource = id.map(str::to_owned);
        self
    }

    /// By a request with this key.
    #[must_use]
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.0.idempotency_key = Some(key.to_owned());
        self
    }
}

/// What became of an action that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// In one word.
    pub outcome: AuditOutcome,
    /// The HTTP status.
    pub status: u16,
    /// The problem's code, where the answer will be one.
    pub code: Option<String>,
    /// The ledger's entry.
    pub entry_id: Option<String>,
}

impl Told {
    /// By the status of its answer: 202 is pending.
    #[must_use]
    pub fn by_status(status: u16) -> Self {
        let outcome = match status {
            202 => AuditOutcome::Pending,
            400..=499 => AuditOutcome::Refused,
            500.. => AuditOutcome::Failed,
            _ => AuditOutcome::Succeeded,
        };
        Self { outcome, status, code: None, entry_id: None }
    }
}

/// Metrics of the trail.
#[derive(Debug, Clone)]
pub struct TrailMetrics {
    ended: [IntCounter; AuditOutcome::ALL.len()],
    lost_start: IntCounter,
    lost_end: IntCounter,
}

impl TrailMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts =
            Opts::new("tollbooth_audit_actions_total", "Actions that stand in the audit trail, by how they ended.");
        let ended = IntCounterVec::new(opts, &["outcome"])?;
        let help = "Records of the audit trail that the brokers did not take. start: nothing was done; end: how the \
                    action ended stands in the answer and in the log alone.";
        let lost = IntCounterVec::new(Opts::new("tollbooth_audit_lost_total", help), &["stage"])?;
        registry.register(Box::new(ended.clone()))?;
        registry.register(Box::new(lost.clone()))?;
        Ok(Self {
            ended: AuditOutcome::ALL.map(|outcome| ended.with_label_values(&[outcome.code()])),
            lost_start: lost.with_label_values(&["start"]),
            lost_end: lost.with_label_values(&["end"]),
        })
    }
}

/// Writes the trail. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Trail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    producer: NoteProducer,
    topic: String,
    patience: Duration,
    metrics: TrailMetrics,
}

/// An action under way. Dropped without an end it is [`AuditOutcome::Unknown`]: whoever waited for it left.
struct Pending {
    trail: Trail,
    audit_id: String,
    has_ended: bool,
}

impl Trail {
    /// Writes to `topic` (full name). The start of an action is waited for so long at most.
    #[must_use]
    pub fn new(producer: NoteProducer, topic: String, patience: Duration, metrics: TrailMetrics) -> Self {
        Self(Arc::new(Inner { producer, topic, patience, metrics }))
    }

    /// Does something, with its trail around it. `tell` says what became of it where it was not refused.
    ///
    /// # Errors
    /// 503 where the trail cannot be written, and nothing was done; what `act` fails with.
    pub async fn around<T>(
        &self,
        action: Action,
        act: impl Future<Output = Result<T, Problem>>,
        tell: impl FnOnce(&T) -> Told,
    ) -> Result<T, Problem> {
        let pending = self.start(action.0).await?;
        let outcome = act.await;
        let told = match &outcome {
            Ok(done) => tell(done),
            Err(problem) => {
                Told { code: Some(problem.code().to_owned()), ..Told::by_status(problem.status().as_u16()) }
            }
        };
        pending.end(told).await;
        outcome
    }

    async fn start(&self, started: AuditStarted) -> Result<Pending, Problem> {
        let audit_id = started.audit_id.clone();
        // From here on the end is written whatever happens: a record that came too late must not look like an action.
        let pending = Pending { trail: self.clone(), audit_id, has_ended: false };
        let written = async { self.write(&pending.audit_id, &AuditRecord::Started(started))?.await };
        let outcome = tokio::time::timeout(self.0.patience, written).await;
        let why = match outcome {
            Ok(Ok(())) => return Ok(pending),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the brokers did not acknowledge it in time".to_owned(),
        };
        self.0.metrics.lost_start.inc();
        tracing::warn!(error = why, "the audit trail cannot be written: nothing is done");
        let problem = Problem::unavailable(RETRY_AFTER_S)
            .with_detail("the audit trail cannot be written, so nothing was done: send it again");
        pending.refuse(&problem);
        Err(problem)
    }

    fn write(
        &self,
        audit_id: &str,
        record: &AuditRecord,
    ) -> Result<impl Future<Output = Result<(), KafkaError>> + Send + use<>, KafkaError> {
        // A record always has a JSON form.
        let payload = serde_json::to_vec(record).unwrap_or_default();
        self.0.producer.send(&self.0.topic, audit_id, &payload)
    }

    fn count(&self, outcome: AuditOutcome) {
        let known = AuditOutcome::ALL.iter().position(|known| *known == outcome);
        if let Some(counter) = known.and_then(|index| self.0.metrics.ended.get(index)) {
            counter.inc();
        }
    }

    fn lost_end(&self, audit_id: &str, why: &str) {
        self.0.metrics.lost_end.inc();
        tracing::error!(audit_id, error = why, "how an action ended does not stand in the audit trail");
    }
}

impl Pending {
    async fn end(mut self, told: Told) {
        self.has_ended = true;
        self.trail.count(told.outcome);
        let Some(written) = self.leave(told) else { return };
        if tokio::time::timeout(END_PATIENCE, written).await.is_err() {
            tracing::warn!(audit_id = self.audit_id, "the end of an action is late in the audit trail");
        }
    }

    /// Nothing was done.
    fn refuse(mut self, problem: &Problem) {
        self.has_ended = true;
        let told = Told { code: Some(problem.code().to_owned()), ..Told::by_status(problem.status().as_u16()) };
        drop(self.leave(Told { outcome: AuditOutcome::Refused, ..told }));
    }

    /// Writes the end, in a task of its own, so that a loss is counted whoever waits for it.
    fn leave(&self, told: Told) -> Option<JoinHandle<()>> {
        let (trail, audit_id) = (self.trail.clone(), self.audit_id.clone());
        let delivery = match trail.write(&audit_id, &ended(&audit_id, told)) {
            Ok(delivery) => delivery,
            Err(error) => {
                trail.lost_end(&audit_id, &error.to_string());
                return None;
            }
        };
        // Without a runtime the process is at its end, and the record on its way.
        let runtime = Handle::try_current().ok()?;
        Some(runtime.spawn(async move {
            if let Err(error) = delivery.await {
                trail.lost_end(&audit_id, &error.to_string());
            }
        }))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.has_ended {
            self.trail.count(AuditOutcome::Unknown);
            drop(self.leave(Told { outcome: AuditOutcome::Unknown, status: 0, code: None, entry_id: None }));
        }
    }
}

fn ended(audit_id: &str, told: Told) -> AuditRecord {
    AuditRecord::Ended(AuditEnded {
        audit_id: audit_id.to_owned(),
        outcome: told.outcome,
        status: (told.status > 0).then_some(told.status),
        code: told.code,
        entry_id: told.entry_id,
    })
}

/// Distinct among processes by the standard library's random keys, within one by counting.
fn new_id() -> String {
    static SEED: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let seed = SEED.get_or_init(|| std::collections::hash_map::RandomState::new().build_hasher().finish());
    format!("aud_{seed:016x}{:08x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_what_the_status_says() {
        let of = |status| Told::by_status(status).outcome;
        assert_eq!(
            (of(200), of(201), of(204)),
            (AuditOutcome::Succeeded, AuditOutcome::Succeeded, AuditOutcome::Succeeded)
        );
        assert_eq!((of(202), of(409), of(503)), (AuditOutcome::Pending, AuditOutcome::Refused, AuditOutcome::Failed));
    }
}
