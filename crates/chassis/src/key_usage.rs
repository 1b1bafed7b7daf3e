//! When keys were last used: what each process saw goes into the compacted topic `key-usage` about once a minute.
//!
//! A request costs a comparison of instants in memory and nothing else. What is told is coarse: by the time that it is read
//! a use may be a minute older than the last one, and a process that is killed takes up to a minute of uses with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tollbooth_schemas::ids::KeyId;
use tollbooth_schemas::keys::KeyUse;

use crate::auth::KeyRing;
use crate::kafka::NoteProducer;
use crate::shutdown::Shutdown;

/// How often a process tells what it saw.
pub const TELL_EVERY: Duration = Duration::from_secs(60);
/// Records that are waited for at once.
const TOGETHER: usize = 500;
/// How long the last telling of a process that ends may take.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long [`tell`] may take to end.
pub const END_PATIENCE: Duration = Duration::from_secs(2);

/// What all processes told. Cloning gives another handle.
#[derive(Debug, Clone, Default)]
pub struct KeyUses(Arc<RwLock<HashMap<KeyId, i64>>>);

impl KeyUses {
    /// Takes one record of `key-usage`; what is none is left out.
    pub fn apply(&self, record_key: &[u8], payload: Option<&[u8]>) {
        let key_id = std::str::from_utf8(record_key).ok().and_then(|text| text.parse::<KeyId>().ok());
        let told = payload.and_then(|payload| serde_json::from_slice::<KeyUse>(payload).ok());
        let Some((key_id, told)) = key_id.zip(told) else { return };
        let mut all = self.0.write();
        let last = all.entry(key_id).or_insert(told.last_used_at);
        *last = told.last_used_at.max(*last);
    }

    /// When a key was last used, milliseconds since the epoch, as far as it was told.
    #[must_use]
    pub fn last_used(&self, key_id: &str) -> Option<i64> {
        self.0.read().get(key_id).copied()
    }
}

/// Tells what `ring` saw every `every` until the shutdown, and once more then. `topic` is a full name.
pub async fn tell(ring: KeyRing, producer: NoteProducer, topic: String, every: Duration, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        tokio::select! {
            () = shutdown.triggered() => {}
            () = tokio::time::sleep(every) => tell_once(&ring, &producer, &topic).await,
        }
    }
    if tokio::time::timeout(LAST_PATIENCE, tell_once(&ring, &producer, &topic)).await.is_err() {
        tracing::warn!("when keys were last used could not be told at the end");
    }
}

/// What the brokers do not take is told the next time.
async fn tell_once(ring: &KeyRing, producer: &NoteProducer, topic: &str) {
    for uses in ring.untold_uses().chunks(TOGETHER) {
        let sent = uses.iter().map(|(key_id, last_used_at)| {
            // A use always has a JSON form.
            let payload = serde_json::to_vec(&KeyUse { last_used_at: *last_used_at }).unwrap_or_default();
            let delivery = producer.send(topic, key_id.as_str(), &payload);
            async move { delivery?.await }
        });
        let outcomes = futures_util::future::join_all(sent).await;
        let (mut told, mut failure) = (Vec::new(), None);
        for (used, outcome) in uses.iter().zip(outcomes) {
            match outcome {
                Ok(()) => told.push(used.clone()),
                Err(error) => failure = Some(error),
            }
        }
        ring.told(&told);
        if let Some(error) = failure {
            tracing::warn!(%error, "when keys were last used is told later");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_use_counts_in_whatever_order_it_is_told() {
        let uses = KeyUses::default();
        let told = |at| serde_json::to_vec(&KeyUse { last_used_at: at }).unwrap();
        for at in [2_000, 3_000, 1_000] {
            uses.apply(b"key_1", Some(&told(at)));
        }
        uses.apply(b"key_2", Some(b"{}"));
        uses.apply(b"nothing", Some(&told(5_000)));
        uses.apply(b"key_1", None);
        assert_eq!((uses.last_used("key_1"), uses.last_used("key_2")), (Some(3_000), None));
    }
}
