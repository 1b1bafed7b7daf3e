//! Who wants to know when an account has a newer entry.
//!
//! By account, so that ten thousand watchers cost a fold of somebody else's account one look-up, and are not all woken.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

/// Watchers by account.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_account: Mutex<HashMap<Box<str>, watch::Sender<u64>>>,
    /// Accounts in the map: the way past the lock while nobody watches.
    accounts: AtomicUsize,
}

impl Watchers {
    pub(super) fn watch(watchers: &Arc<Self>, account_id: &str) -> Watch {
        let mut by_account = watchers.by_account.lock();
        let sender = by_account.entry(account_id.into()).or_insert_with(|| watch::channel(0).0);
        let receiver = sender.subscribe();
        watchers.accounts.store(by_account.len(), Ordering::SeqCst);
        drop(by_account);
        Watch { watchers: Arc::clone(watchers), account_id: account_id.into(), receiver }
    }

    /// The account has entry `seq`.
    pub(super) fn wake(&self, account_id: &str, seq: u64) {
        if self.accounts.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(sender) = self.by_account.lock().get(account_id) {
            sender.send_replace(seq);
        }
    }
}

/// One watcher of an account, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    watchers: Arc<Watchers>,
    account_id: Box<str>,
    receiver: watch::Receiver<u64>,
}

impl Watch {
    /// How many watch this account, this one among them.
    #[must_use]
    pub fn watchers(&self) -> usize {
        let by_account = self.watchers.by_account.lock();
        by_account.get(&self.account_id).map_or(0, watch::Sender::receiver_count)
    }

    /// Waits for an entry newer than those of the last call; what arrives between two calls is not missed.
    pub async fn changed(&mut self) {
        // The sender stays in the map as long as there is a watcher.
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut by_account = self.watchers.by_account.lock();
        // This one still counts.
        if by_account.get(&self.account_id).is_some_and(|sender| sender.receiver_count() <= 1) {
            by_account.remove(&self.account_id);
            self.watchers.accounts.store(by_account.len(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_watcher_learns_of_its_account_alone_and_leaves_nothing_behind() {
        let watchers = Arc::new(Watchers::default());
        let (mut luna, mut other) = (Watchers::watch(&watchers, "acc_luna"), Watchers::watch(&watchers, "acc_luna"));
        let mut sol = Watchers::watch(&watchers, "acc_sol");
        // What comes before the wait is not missed.
        watchers.wake("acc_luna", 7);
        luna.changed().await;
        other.changed().await;
        assert!(tokio::time::timeout(Duration::ZERO, sol.changed()).await.is_err());
        assert!(tokio::time::timeout(Duration::ZERO, luna.changed()).await.is_err());

        drop(luna);
        watchers.wake("acc_luna", 8);
        other.changed().await;
        drop((other, sol));
        assert!(watchers.by_account.lock().is_empty() && watchers.accounts.load(Ordering::SeqCst) == 0);
    }
}
