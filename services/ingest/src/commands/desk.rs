//! Who waits for which reply, and which idempotency keys are under way here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rand::RngExt;
use tokio::sync::{oneshot, watch};
use tollbooth_schemas::v1;

/// The desk of one process.
#[derive(Debug, Clone)]
pub(crate) struct CommandDesk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    instance_id: String,
    next: AtomicU64,
    /// Whether replies to what is sent from now on are read.
    is_followed: watch::Sender<bool>,
    waiting: Mutex<HashMap<String, oneshot::Sender<v1::Reply>>>,
    under_way: Mutex<HashSet<(String, String)>>,
}

/// A place in the queue for replies; leaving it forgets the reply.
#[derive(Debug)]
pub(crate) struct Waiting {
    desk: CommandDesk,
    pub(crate) correlation_id: String,
    pub(crate) reply: oneshot::Receiver<v1::Reply>,
}

/// An idempotency key that is under way here.
#[derive(Debug)]
pub(crate) struct UnderWay {
    desk: CommandDesk,
    key: (String, String),
}

impl CommandDesk {
    /// A desk with an id of its own: replies to a process that is gone reach nobody.
    pub(crate) fn new() -> Self {
        let chance: u128 = rand::rng().random();
        Self(Arc::new(Inner {
            instance_id: format!("ingest-{:016x}", chance >> 64),
            next: AtomicU64::new(0),
            is_followed: watch::Sender::new(false),
            waiting: Mutex::default(),
            under_way: Mutex::default(),
        }))
    }

    /// Where the meter sends replies to: their record key.
    pub(crate) fn instance_id(&self) -> &str {
        &self.0.instance_id
    }

    /// Says whether the reader of replies has its position: what is written behind it is delivered.
    pub(crate) fn set_followed(&self, is_followed: bool) {
        self.0.is_followed.send_replace(is_followed);
    }

    /// Returns once replies are followed. The reply to a command that is sent before may lie before the reader's position,
    /// where nobody reads it.
    pub(crate) async fn followed(&self) {
        let mut is_followed = self.0.is_followed.subscribe();
        // The sender is this desk's own: it does not go away.
        drop(is_followed.wait_for(|is_followed| *is_followed).await);
    }

    /// Takes a place before the command is sent: a reply may be quicker than the acknowledgement.
    pub(crate) fn wait(&self) -> Waiting {
        let correlation_id = format!("{}-{}", self.0.instance_id, self.0.next.fetch_add(1, Ordering::Relaxed));
        let (sender, reply) = oneshot::channel();
        self.0.waiting.lock().insert(correlation_id.clone(), sender);
        Waiting { desk: self.clone(), correlation_id, reply }
    }

    /// Hands a reply over. Nobody waits for one that is late: the client repeats, and the meter answers again.
    pub(crate) fn deliver(&self, reply: v1::Reply) {
        let waiter = self.0.waiting.lock().remove(&reply.correlation_id);
        if waiter.is_none_or(|waiter| waiter.send(reply).is_err()) {
            tracing::debug!("a reply came too late");
        }
    }

    /// Marks a key as under way; `None` where it is already.
    pub(crate) fn begin(&self, account_id: &str, idempotency_key: &str) -> Option<UnderWay> {
        let key = (account_id.to_owned(), idempotency_key.to_owned());
        self.0.under_way.lock().insert(key.clone()).then(|| UnderWay { desk: self.clone(), key })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.desk.0.waiting.lock().remove(&self.correlation_id);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.desk.0.under_way.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reply_reaches_the_one_who_waits_and_a_late_one_nobody() {
        let desk = CommandDesk::new();
        let mut waiting = desk.wait();
        let reply = v1::Reply { correlation_id: waiting.correlation_id.clone(), ..v1::Reply::default() };
        desk.deliver(reply.clone());
        assert_eq!(waiting.reply.try_recv(), Ok(reply.clone()));
        desk.deliver(reply);
        drop(waiting);
        assert!(desk.0.waiting.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_for_replies_to_be_followed_goes_on_when_they_are() {
        let desk = CommandDesk::new();
        let mut waits = std::pin::pin!(desk.followed());
        let is_pending =
            async |waits: std::pin::Pin<&mut _>| tokio::time::timeout(Duration::ZERO, waits).await.is_err();
        assert!(is_pending(waits.as_mut()).await);
        desk.set_followed(true);
        assert!(!is_pending(waits.as_mut()).await);
        // A reader that lost its position begins anew.
        desk.set_followed(false);
        assert!(tokio::time::timeout(Duration::ZERO, desk.followed()).await.is_err());
    }

    #[test]
    fn a_key_is_under_way_once_and_per_account() {
        let desk = CommandDesk::new();
        let first = desk.begin("acc_a", "k");
        assert!(first.is_some() && desk.begin("acc_a", "k").is_none() && desk.begin("acc_b", "k").is_some());
        drop(first);
        assert!(desk.begin("acc_a", "k").is_some());
    }
}
