//! Signing out: what one process ends, every process ends.
//!
//! A sign-out goes into the topic `ended-sessions` and is answered once all in-sync replicas have it. Every process reads the
//! topic through before it takes a session, and follows it; one that has not read to its end for longer than it may takes
//! none. So a copy of a cookie is refused everywhere from the answer on, but for what a record takes to arrive: a moment,
//! and never more than that age.
//!
//! Where the brokers do not take it, the session has ended here, the answer says how long a copy may live, and the others
//! are told as soon as the brokers answer, as long as this process lives.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use rdkafka::error::KafkaError;
use tollbooth_chassis::kafka::NoteProducer;
use tollbooth_chassis::kafka::table::{NotCurrent, TopicTable};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::sessions::EndedSession;
use tollbooth_schemas::time::rfc3339;

use super::ended::EndedSessions;
use super::session::Session;
use crate::clock::now_ms;
use crate::metrics::{SignOut, SignOutMetrics};

/// How long the brokers are waited for before a sign-out is answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often what they did not take is told again.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How long the last telling of a process that ends may take.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long [`SignOuts::end_telling`] may take.
pub const END_PATIENCE: Duration = Duration::from_secs(2);
/// Records that are waited for at once.
const TOGETHER: usize = 500;
const RETRY_AFTER_S: u32 = 2;

/// The follower of the topic and the writer to it.
pub struct SignOuts {
    ended: EndedSessions,
    table: TopicTable,
    age_max: Duration,
    producer: NoteProducer,
    /// Full name.
    topic: String,
    metrics: SignOutMetrics,
}

impl std::fmt::Debug for SignOuts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignOuts").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl SignOuts {
    /// `ended` is fed by `table`, the follower of `topic`. `age_max` is how long ago that may have been read to its end.
    #[must_use]
    pub fn new(
        ended: EndedSessions,
        table: TopicTable,
        age_max: Duration,
        producer: NoteProducer,
        topic: String,
        metrics: SignOutMetrics,
    ) -> Self {
        Self { ended, table, age_max, producer, topic, metrics }
    }

    /// Whether every sign-out is known, as of at most the age that is allowed.
    ///
    /// # Errors
    /// 503 with `Retry-After`.
    pub fn ensure_current(&self) -> Result<(), Problem> {
        let detail = match self.table.ensure_current(self.age_max) {
            Ok(()) => return Ok(()),
            Err(NotCurrent::Reading) => "sign-outs are being read",
            Err(NotCurrent::Stale(_)) => "sign-outs could not be read for too long",
            Err(NotCurrent::Failed(_)) => "sign-outs cannot be read any more: this process is about to end",
        };
        Err(Problem::unavailable(RETRY_AFTER_S).with_detail(detail))
    }

    /// Whether somebody signed out of a session, as far as is known.
    #[must_use]
    pub fn has(&self, session: &Session) -> bool {
        self.ended.has(session)
    }

    /// Whether somebody did, and every process reads of it.
    #[must_use]
    pub fn has_told(&self, session: &Session) -> bool {
        self.ended.has_told(session)
    }

    /// Ends a session: here at once, and everywhere with the brokers' word.
    ///
    /// # Errors
    /// 503 `sign_out_pending` where that does not come.
    pub async fn end(&self, session: &Session) -> Result<(), Problem> {
        // Not told until the brokers have it: whoever waits for the answer may leave.
        self.ended.put(session, now_ms());
        let ended = EndedSession { key_id: session.key_id.clone(), expires_at: session.expires_at_ms };
        let why = match tokio::time::timeout(PATIENCE, self.tell(&session.id, &ended)).await {
            Ok(Ok(())) => {
                self.metrics.count(SignOut::Told);
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the brokers did not acknowledge it in time".to_owned(),
        };
        self.metrics.count(SignOut::Pending);
        tracing::warn!(key_id = %ended.key_id, error = why, "a sign-out is told to the other processes later");
        Err(pending(ended.expires_at))
    }

    async fn tell(&self, id: &str, ended: &EndedSession) -> Result<(), KafkaError> {
        // It always has a JSON form.
        let payload = serde_json::to_vec(ended).unwrap_or_default();
        self.producer.send(&self.topic, id, &payload)?.await?;
        self.ended.told(id, ended, now_ms());
        Ok(())
    }

    /// Tells again what the brokers did not take, and forgets what is over, until the shutdown.
    pub async fn keep_telling(self: Arc<Self>, shutdown: Shutdown) {
        while !shutdown.is_triggered() {
            tokio::select! {
                () = shutdown.triggered() => {}
                () = tokio::time::sleep(TELL_EVERY) => {
                    self.ended.forget_over(now_ms());
                    self.tell_untold().await;
                }
            }
        }
    }

    /// Tells it once more, at the end.
    pub async fn end_telling(&self) {
        let in_time = tokio::time::timeout(LAST_PATIENCE, self.tell_untold()).await.is_ok();
        let left = self.ended.untold().len();
        if left > 0 {
            tracing::error!(left, in_time, "sign-outs were not told to the other processes");
        }
    }

    async fn tell_untold(&self) {
        for some in self.ended.untold().chunks(TOGETHER) {
            let outcomes = join_all(some.iter().map(|(id, ended)| self.tell(id, ended))).await;
            if let Some(error) = outcomes.into_iter().find_map(Result::err) {
                tracing::warn!(%error, "sign-outs are told to the other processes later");
                return;
            }
        }
    }
}

fn pending(expires_at_ms: i64) -> Problem {
    let detail = format!(
        "the session has ended at the process that answered, and its cookie is taken from this browser; the brokers do not \
         answer, so another process may take a copy of the cookie until they do, or until {}",
        rfc3339(expires_at_ms)
    );
    let title = "Signed out here, not everywhere yet";
    Problem::new("sign_out_pending", StatusCode::SERVICE_UNAVAILABLE, title)
        .with_detail(detail)
        .with_retry_after(RETRY_AFTER_S)
}
