//! Accounts in memory, folded from the ledger.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::watch;
use tollbooth_schemas::v1::LedgerRecord;
use tollbooth_schemas::v1::entry::Kind;

use super::facts::Facts;
use super::purse::Known;
use super::recent::{AccountRecent, Order, RecentLimits, RecentRecord};
use super::watchers::{Watch, Watchers};
use crate::store::Posted;

#[path = "view_list.rs"]
mod list;
#[path = "view_places.rs"]
mod places;
#[path = "view_purse.rs"]
mod purse;

pub use list::AccountListed;

/// In what an account is shown; the currency never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Profile {
    /// ISO 4217.
    pub currency: String,
    /// IANA name, of the newest word about it.
    pub time_zone: String,
}

/// An account as ClickHouse knows it, for the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccount {
    /// Id.
    pub account_id: String,
    /// Newest entry.
    pub seq: u64,
    /// Balance after it.
    pub balance_micros: i64,
    /// Held after it.
    pub held_micros: i64,
    /// When it was posted.
    pub posted_at_ms: i64,
    /// `None`: the opening is not there.
    pub profile: Option<Profile>,
    /// Name and plan.
    pub facts: Facts,
    /// Whether it may ever have had a bonus or a credit limit.
    pub may_have_purse: bool,
}

/// A balance at an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Newest entry.
    pub seq: u64,
    /// In micro-units.
    pub balance_micros: i64,
    /// In micro-units.
    pub held_micros: i64,
    /// The moment it is true for: no entry committed before is missing. Later ones may be in it already.
    pub as_of_ms: i64,
    /// Currency and zone.
    pub profile: Arc<Profile>,
}

/// The newest entries of an account, as they lie in memory.
#[derive(Debug)]
pub struct Recent {
    /// Balance at the newest of them.
    pub balance: Balance,
    /// The account's partition of the ledger.
    pub partition: u32,
    posted: Posted,
    /// Oldest first, without a gap up to `balance.seq`.
    pub(crate) records: Vec<Arc<RecentRecord>>,
}

impl Recent {
    /// The oldest entry in memory; one more than the newest where none is.
    #[must_use]
    pub fn oldest_seq(&self) -> u64 {
        self.records.first().map_or(self.balance.seq + 1, |record| record.first_seq)
    }

    /// When the entries below [`Recent::oldest_seq`] were posted: the ledger's posting time never goes back.
    #[must_use]
    pub fn posted_before(&self) -> Posted {
        let oldest = self.records.first().and_then(|record| record.decode());
        let by_ms = oldest.map_or(self.posted.by_ms, |record| record.posted_at_ms);
        Posted { by_ms, entries: self.oldest_seq().saturating_sub(1), ..self.posted }
    }

    /// The record that holds entry `seq`, if it is in memory.
    #[must_use]
    pub fn record_of(&self, seq: u64) -> Option<LedgerRecord> {
        let holding = self.records.get(self.records.partition_point(|record| record.last_seq < seq))?;
        if holding.first_seq <= seq { holding.decode() } else { None }
    }
}

/// Entries of an account from some `seq` on.
#[derive(Debug)]
pub struct Since {
    /// The newest balance.
    pub balance: Balance,
    /// The oldest entry in memory; one more than the newest where none is.
    pub oldest_seq: u64,
    /// Records that hold the entries wanted, oldest first, without a gap; the first may begin before them. Empty where
    /// memory does not reach down to them.
    pub(crate) records: Vec<Arc<RecentRecord>>,
    /// Everything that was posted before this moment of this process's clock, in ms of the epoch, is known; 0: not yet.
    pub confirmed_at_ms: i64,
}

/// What a record did to the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// It was the next one.
    Applied,
    /// It was known: below what ClickHouse had at the start.
    Known,
    /// Entries before it are missing; what was kept of the account is dropped.
    Jumped,
}

/// A record that cannot be shown: reading on would show wrong balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// An entry of a kind that this release does not know.
    #[error("entry {0} is of a kind this release does not know")]
    UnknownKind(u64),
    /// A record without entries, or with entries out of order.
    #[error("the record's entries are not consecutive")]
    NotConsecutive,
}

/// Where a record lies in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: i64,
}

#[derive(Debug)]
struct Account {
    id: Arc<str>,
    partition: u32,
    seq: u64,
    /// Offset after the record with the newest entry. 0: it was not read from the ledger, so that it lies below the
    /// sink's offsets at the start.
    end_offset: i64,
    balance_micros: i64,
    held_micros: i64,
    posted_at_ms: i64,
    /// `None`: nothing is known of it. Without a currency: the opening is not.
    profile: Option<Arc<Profile>>,
    facts: Box<Facts>,
    purse: Known,
    recent: AccountRecent,
}

impl Account {
    /// `None` where the opening is not known, which alone tells the currency.
    fn whole_profile(&self) -> Option<&Arc<Profile>> {
        self.profile.as_ref().filter(|profile| !profile.currency.is_empty())
    }

    fn posted(&self) -> Posted {
        Posted { by_ms: self.posted_at_ms, opened_at_ms: self.facts.opened_at_ms, entries: self.seq }
    }
}

#[derive(Debug, Default)]
struct Accounts {
    index: HashMap<Arc<str>, u32>,
    accounts: Vec<Account>,
    order: Order,
    profiles: BTreeMap<Profile, Arc<Profile>>,
}

/// All accounts. Written by one thread, read by requests.
#[derive(Debug)]
pub struct LiveView {
    limits: RecentLimits,
    inner: RwLock<Accounts>,
    /// By partition: every entry committed before this instant is folded. 0: not known yet.
    confirmed_ms: OnceLock<Box<[AtomicI64]>>,
    /// By partition: every record below this offset is folded. Changed while the accounts are locked.
    read_to: OnceLock<Box<[AtomicI64]>>,
    /// By partition: where reading began.
    begun_at: OnceLock<Box<[i64]>>,
    folds: watch::Sender<()>,
    watchers: Arc<Watchers>,
}

impl LiveView {
    /// An empty view; unconfirmed until [`set_partitions`](Self::set_partitions) and a first read to the end.
    #[must_use]
    pub fn new(limits: RecentLimits) -> Self {
        Self {
            limits,
            inner: RwLock::default(),
            confirmed_ms: OnceLock::new(),
            read_to: OnceLock::new(),
            begun_at: OnceLock::new(),
            folds: watch::channel(()).0,
            watchers: Arc::default(),
        }
    }

    /// Puts in accounts as they stood somewhere in the ledger; an account known further on stays as it is.
    pub fn load(&self, known: impl IntoIterator<Item = (u32, KnownAccount)>) {
        let mut inner = self.inner.write();
        for (partition, known) in known {
            let index = inner.index_of(&known.account_id, partition);
            if let Some(profile) = known.profile {
                inner.tell(index, known.facts.named_by_seq, profile);
            }
            let inner = &mut *inner;
            let Some(account) = inner.accounts.get_mut(index as usize) else { continue };
            account.facts.merge(known.facts);
            if account.seq < known.seq {
                // The entries in between are not in memory: what follows would join on to what lies before the gap.
                inner.order.clear(&mut account.recent);
                account.recent.was_cut |= account.seq > 0;
                account.purse = if known.may_have_purse { Known::No } else { Known::Empty };
                account.seq = known.seq;
                account.balance_micros = known.balance_micros;
                account.held_micros = known.held_micros;
                account.posted_at_ms = known.posted_at_ms;
                self.watchers.wake(&known.account_id, known.seq);
            }
        }
        drop(inner);
        self.announce();
    }

    /// Folds the record at `place`; `bytes` is its encoded form.
    ///
    /// # Errors
    /// [`FoldError`]; the view is as it was.
    pub fn fold(&self, place: Place, record: &LedgerRecord, bytes: &[u8]) -> Result<Folded, FoldError> {
        let (first_seq, last) = match record.entries.as_slice() {
            [] => return Err(FoldError::NotConsecutive),
            [first, .., last] => (first.seq, last),
            [only] => (only.seq, only),
        };
        if record.entries.iter().zip(first_seq..).any(|(entry, seq)| entry.seq != seq) {
            return Err(FoldError::NotConsecutive);
        }
        if let Some(unknown) = record.entries.iter().find(|entry| entry.entry_type().is_none()) {
            return Err(FoldError::UnknownKind(unknown.seq));
        }
        let mut inner = self.inner.write();
        let index = inner.index_of(&record.account_id, place.partition);
        for entry in &record.entries {
            let (currency, time_zone) = match entry.kind.as_ref() {
                Some(Kind::AccountOpened(opened)) => (opened.currency.clone(), opened.time_zone.clone()),
                Some(Kind::ProfileSet(set)) => (String::new(), set.time_zone.clone()),
                _ => continue,
            };
            inner.tell(index, entry.seq, Profile { currency, time_zone });
        }
        let inner = &mut *inner;
        let end_offset = place.offset.saturating_add(1);
        if let Some(read_to) = self.read_to(place.partition) {
            read_to.fetch_max(end_offset, Ordering::Relaxed);
        }
        let Some(account) = inner.accounts.get_mut(index as usize) else { return Ok(Folded::Known) };
        account.facts.fold(record);
        if last.seq <= account.seq {
            if last.seq == account.seq {
                account.end_offset = end_offset;
            }
            account.recent.was_cut = true;
            return Ok(Folded::Known);
        }
        let jumped = first_seq > account.seq + 1;
        if jumped {
            inner.order.clear(&mut account.recent);
            account.recent.was_cut = true;
            account.purse = Known::No;
        } else if account.seq == 0 {
            account.purse = Known::Empty;
        }
        account.purse.fold(record.entries.iter().skip_while(|entry| entry.seq <= account.seq));
        account.seq = last.seq;
        account.end_offset = end_offset;
        account.balance_micros = last.balance_after_micros;
        account.held_micros = last.held_after_micros;
        account.posted_at_ms = record.posted_at_ms;
        let kept = RecentRecord::new(first_seq, last.seq, end_offset, bytes);
        inner.order.push(index, kept, &mut account.recent, self.limits);
        let accounts = &mut inner.accounts;
        while inner.order.is_over(self.limits) {
            inner.order.shrink(|index| accounts.get_mut(index as usize).map(|account| &mut account.recent));
        }
        self.watchers.wake(&record.account_id, last.seq);
        Ok(if jumped { Folded::Jumped } else { Folded::Applied })
    }

    /// Wakes those who wait for a `seq`; after a batch of folds.
    pub fn announce(&self) {
        self.folds.send_replace(());
    }

    /// The balance of an account; `None` where there is no such account, or only the rest of one (see
    /// [`LiveView::is_incomplete`]).
    #[must_use]
    pub fn balance(&self, account_id: &str) -> Option<Balance> {
        let inner = self.inner.read();
        self.balance_of(inner.get(account_id)?)
    }

    fn balance_of(&self, account: &Account) -> Option<Balance> {
        Some(Balance {
            seq: account.seq,
            balance_micros: account.balance_micros,
            held_micros: account.held_micros,
            as_of_ms: account.posted_at_ms.max(self.confirmed_at_ms(account.partition)),
            profile: Arc::clone(account.whole_profile()?),
        })
    }

    /// When the account's entries were posted; of an account that is not there, at no time.
    #[must_use]
    pub fn posted(&self, account_id: &str) -> Posted {
        let inner = self.inner.read();
        inner.get(account_id).map_or(Posted { by_ms: 0, opened_at_ms: 0, entries: 0 }, Account::posted)
    }

    /// Name and plan of an account, as of the same entry as its balance.
    #[must_use]
    pub fn account(&self, account_id: &str) -> Option<(Balance, Facts)> {
        let inner = self.inner.read();
        let account = inner.get(account_id)?;
        Some((self.balance_of(account)?, Facts::clone(&account.facts)))
    }

    /// Tells whenever an account has a newer entry.
    #[must_use]
    pub fn watch(&self, account_id: &str) -> Watch {
        Watchers::watch(&self.watchers, account_id)
    }

    /// The newest entries of an account that are in memory.
    #[must_use]
    pub fn recent(&self, account_id: &str) -> Option<Recent> {
        let inner = self.inner.read();
        let account = inner.get(account_id)?;
        Some(Recent {
            balance: self.balance_of(account)?,
            partition: account.partition,
            posted: account.posted(),
            records: account.recent.records.iter().map(Arc::clone).collect(),
        })
    }

    /// Entries of an account from `seq` on, in whole records, until there are `entries` or more; `None` as in
    /// [`LiveView::balance`].
    #[must_use]
    pub fn since(&self, account_id: &str, seq: u64, entries: usize) -> Option<Since> {
        let inner = self.inner.read();
        let account = inner.get(account_id)?;
        let records = &account.recent.records;
        let oldest_seq = records.front().map_or(account.seq + 1, |record| record.first_seq);
        let mut wanted = Vec::new();
        if oldest_seq <= seq {
            let up_to_seq = seq.saturating_add(u64::try_from(entries).unwrap_or(u64::MAX));
            let first = records.partition_point(|record| record.last_seq < seq);
            let until = records.partition_point(|record| record.first_seq < up_to_seq);
            wanted.extend(records.range(first..until.max(first)).map(Arc::clone));
        }
        let confirmed_at_ms = self.confirmed_at_ms(account.partition);
        Some(Since { balance: self.balance_of(account)?, oldest_seq, records: wanted, confirmed_at_ms })
    }

    /// Whether the account is known by its later entries only: its opening was jumped over.
    #[must_use]
    pub fn is_incomplete(&self, account_id: &str) -> bool {
        self.inner.read().get(account_id).is_some_and(|account| account.whole_profile().is_none())
    }

    /// Waits until the account has an entry `seq` or later, at most `patience`. Returns whether it has.
    pub async fn wait_for_seq(&self, account_id: &str, seq: u64, patience: Duration) -> bool {
        let mut folds = self.folds.subscribe();
        let reached = || self.inner.read().get(account_id).is_some_and(|account| account.seq >= seq);
        let waiting = async {
            // Subscribed before the first look: a fold in between wakes the wait.
            while !reached() {
                if folds.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok()
    }

    /// Number of accounts, and bytes kept of their newest entries.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let inner = self.inner.read();
        (inner.accounts.len(), inner.order.bytes())
    }
}

impl Accounts {
    fn get(&self, account_id: &str) -> Option<&Account> {
        self.accounts.get(*self.index.get(account_id)? as usize)
    }

    fn index_of(&mut self, account_id: &str, partition: u32) -> u32 {
        if let Some(index) = self.index.get(account_id) {
            return *index;
        }
        let index = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        let id: Arc<str> = account_id.into();
        self.accounts.push(Account {
            id: Arc::clone(&id),
            partition,
            seq: 0,
            end_offset: 0,
            balance_micros: 0,
            held_micros: 0,
            posted_at_ms: 0,
            profile: None,
            facts: Box::default(),
            purse: Known::No,
            recent: AccountRecent::default(),
        });
        self.index.insert(id, index);
        index
    }

    /// Takes what an entry says of currency and zone. The opening alone tells the currency; of the zone the newest word counts,
    /// whose entry is the one that the name is of.
    fn tell(&mut self, index: u32, seq: u64, told: Profile) {
        let Some(account) = self.accounts.get(index as usize) else { return };
        let told = match account.profile.as_deref() {
            Some(known) => Profile {
                currency: if known.currency.is_empty() { told.currency } else { known.currency.clone() },
                time_zone: if account.facts.named_by_seq < seq { told.time_zone } else { known.time_zone.clone() },
            },
            None => told,
        };
        let profile = self.intern(told);
        if let Some(account) = self.accounts.get_mut(index as usize) {
            account.profile = Some(profile);
        }
    }

    /// Accounts share the few combinations of currency and zone.
    fn intern(&mut self, profile: Profile) -> Arc<Profile> {
        if let Some(shared) = self.profiles.get(&profile) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(profile.clone());
        self.profiles.insert(profile, Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
