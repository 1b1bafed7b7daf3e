//! Events and booths of an account as of its newest entry: kept for whoever asks next, and carried forward by the ledger's tail.
//!
//! ClickHouse tells them once, with what was said of each up to an entry that every table has for certain, and with what was
//! spent up to an entry that the rollup says itself ([`super::Asker`]). The entries since then are added here. So a list is
//! current to the newest entry, an event that was defined just now among it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::account_state::AccountState;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{BudgetRule, Entry, LedgerRecord};

use super::{Asker, Question, Whose};
use crate::calendar::QUARTER_MS;
use crate::config::AnswersSection;
use crate::live::LiveView;
use crate::metrics::{AnswerSource, AnswersMetrics};
use crate::store::{GroupBy, Kinds, PartiesQuery, Party, PartyKind, StoreError, UsageFilter};

/// Most parties of an account that are kept. Of one with more a list is asked for page by page.
const PARTIES_MAX: usize = 2_000;
/// What a party costs beside its texts.
const PARTY_BYTES: usize = 350;
/// Guess of what is kept of an account: a large one, since the cache's parts must each hold one, however many processors there are.
const GUESS_BYTES: u64 = 256 * 1024;

/// All parties of an account, exactly as its entries up to one of them make them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    seq: u64,
    /// When they are asked for anew.
    until: Instant,
    /// By id; `None`: there are more than are kept, or it is not known up to which entry they would go.
    parties: Option<BTreeMap<String, Party>>,
}

impl Known {
    /// One of them.
    #[must_use]
    pub fn one(&self, id: &str) -> Option<&Party> {
        self.parties.as_ref()?.get(id)
    }

    /// Those that have `text` in id or name, those with the newest activity first: behind the one with this instant and id,
    /// at most `limit`.
    #[must_use]
    pub fn page(&self, text: &str, after: Option<(i64, &str)>, limit: usize) -> Vec<Party> {
        let text = lower(text);
        let has_text = |party: &&Party| lower(&format!("{} {}", party.id, party.name)).contains(&text);
        let is_behind = |party: &&Party| after.is_none_or(|after| (party.order_ms(), party.id.as_str()) < after);
        let parties = self.parties.iter().flat_map(BTreeMap::values);
        let mut page: Vec<&Party> = parties.filter(has_text).filter(is_behind).collect();
        page.sort_unstable_by(|one, other| (other.order_ms(), &other.id).cmp(&(one.order_ms(), &one.id)));
        page.into_iter().take(limit).cloned().collect()
    }

    /// Adds the entries behind the newest that is in it, up to `to_seq`; what was spent only of those behind `summed_seq`.
    /// Returns whether all of them were there, one after the other; if not, this is of no use any more.
    #[must_use]
    fn carry(&mut self, question: &Question, records: &[LedgerRecord], summed_seq: u64, to_seq: u64) -> bool {
        let Some(parties) = &mut self.parties else { return false };
        let after_seq = self.seq;
        for record in records {
            for entry in record.entries.iter().filter(|entry| (after_seq + 1..=to_seq).contains(&entry.seq)) {
                if entry.seq != self.seq + 1 {
                    return false;
                }
                say(parties, question.group_by, entry, record.posted_at_ms);
                if entry.seq > summed_seq {
                    spend(parties, question, entry);
                }
                self.seq = entry.seq;
            }
        }
        self.seq == to_seq
    }
}

/// Letter by letter, as ClickHouse does it: what one becomes does not depend on what stands beside it.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn party<'a>(parties: &'a mut BTreeMap<String, Party>, id: &str) -> &'a mut Party {
    parties.entry(id.to_owned()).or_insert_with(|| Party { id: id.to_owned(), ..Party::default() })
}

/// What an entry says of a party. To the letter what its row in `ledger` says.
fn say(parties: &mut BTreeMap<String, Party>, group_by: Option<GroupBy>, entry: &Entry, posted_at_ms: i64) {
    let said = match (group_by, &entry.kind) {
        (Some(GroupBy::Event), Some(Kind::EventDefined(event))) => {
            let said = party(parties, &event.event_id);
            said.name.clone_from(&event.name);
            let state = AccountState::EventDefined {
                starts_at_ms: event.starts_at_ms,
                ends_at_ms: event.ends_at_ms,
                time_zone: event.time_zone.as_str().into(),
                budget_micros: event.budget_micros,
                refuses_holds: event.on_exceeded() == BudgetRule::RefuseHolds,
            };
            said.state = state.text();
            said
        }
        (Some(GroupBy::Booth), Some(Kind::BoothSet(booth))) => {
            let said = party(parties, &booth.booth_id);
            said.name.clone_from(&booth.name);
            said.reason = if booth.paused { "paused".to_owned() } else { String::new() };
            said
        }
        _ => return,
    };
    said.said_ms = said.said_ms.max(posted_at_ms);
}

/// What an entry adds to what was spent for a party. To the letter what its row in the rollup does.
fn spend(parties: &mut BTreeMap<String, Party>, question: &Question, entry: &Entry) {
    let Some((_, id, line)) = question.adds(entry).filter(|(_, id, _)| !id.is_empty()) else { return };
    let spent = party(parties, &id);
    let quarter_ms = entry.occurred_at_ms.div_euclid(QUARTER_MS) * QUARTER_MS;
    spent.succeeded = spent.succeeded.saturating_add(line.succeeded);
    spent.failures = spent.failures.saturating_add(line.failures);
    spent.spent_micros = spent.spent_micros.saturating_add(line.spent_micros);
    spent.first_ms = if spent.first_ms == 0 { quarter_ms } else { spent.first_ms.min(quarter_ms) };
    spent.last_ms = spent.last_ms.max(quarter_ms);
}

/// What an entry must be to be spent for a party.
fn question(account_id: &str, kind: PartyKind) -> Question {
    Question {
        whose: Whose::Account(account_id.to_owned()),
        kinds: Kinds::Spend,
        range: None,
        starts_ms: Vec::new(),
        group_by: Some(match kind {
            PartyKind::Event => GroupBy::Event,
            PartyKind::Booth => GroupBy::Booth,
        }),
        filter: UsageFilter::default(),
        top: None,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    account_id: Box<str>,
    kind: PartyKind,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<Known>> for Weight {
    fn weight(&self, key: &Key, known: &Arc<Known>) -> u64 {
        let of = |party: &Party| PARTY_BYTES + 2 * party.id.len() + party.name.len() + party.state.len();
        let parties: usize = known.parties.iter().flat_map(BTreeMap::values).map(of).sum();
        u64::try_from(PARTY_BYTES + key.account_id.len() + parties).unwrap_or(u64::MAX)
    }
}

/// The events and booths that one process keeps.
#[derive(Debug)]
pub struct Parties {
    /// `None`: nothing is kept.
    cache: Option<Cache<Key, Arc<Known>, Weight>>,
    /// How long they are carried forward before they are asked for anew.
    life: Duration,
    /// How long it is taken for granted that they cannot be kept at the moment.
    pause: Duration,
    /// How long who asks waits for another who asks the same.
    wait: Duration,
    view: Arc<LiveView>,
    asker: Asker,
    metrics: AnswersMetrics,
}

impl Parties {
    /// None yet.
    #[must_use]
    pub fn new(settings: AnswersSection, asker: Asker, wait: Duration, metrics: AnswersMetrics) -> Self {
        let bytes_max = settings.parties_bytes_max;
        let is_kept = bytes_max > 0 && settings.bytes_max > 0 && asker.is_exact;
        let accounts = usize::try_from(bytes_max / GUESS_BYTES).unwrap_or(usize::MAX).max(1);
        Self {
            cache: is_kept.then(|| Cache::with_weighter(accounts, bytes_max, Weight)),
            life: Duration::from_secs(settings.carried_s_max),
            pause: Duration::from_millis(settings.fresh_ms),
            wait,
            view: Arc::clone(&asker.view),
            asker,
            metrics,
        }
    }

    /// All parties of an account as of its newest entry; `None`: they are to be asked for page by page.
    ///
    /// # Errors
    /// As the store's.
    pub async fn all(&self, account_id: &str, kind: PartyKind) -> Result<Option<Arc<Known>>, Problem> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let key = Key { account_id: account_id.into(), kind };
        if let Some(known) = cache.get(&key) {
            if Instant::now() < known.until {
                if known.parties.is_none() {
                    return Ok(None);
                }
                if let Some(carried) = self.carried(&key, &known) {
                    if !Arc::ptr_eq(&carried, &known) {
                        cache.insert(key, Arc::clone(&carried));
                    }
                    self.metrics.count(AnswerSource::Carried);
                    return Ok(Some(carried));
                }
            }
            cache.remove_if(&key, |kept| Arc::ptr_eq(kept, &known));
        }
        let guard = match tokio::time::timeout(self.wait, cache.get_value_or_guard_async(&key)).await {
            Err(_) => return Err(StoreError::Busy.into()),
            Ok(Ok(known)) => {
                self.metrics.count(AnswerSource::Joined);
                return Ok(self.carried(&key, &known));
            }
            Ok(Err(guard)) => guard,
        };
        self.metrics.count(AnswerSource::ClickHouse);
        let asked_at = Instant::now();
        // What cannot be kept is not tried by each who waits, one after the other.
        let known = match self.ask(&key, asked_at).await? {
            Some(known) => known,
            None => Known { seq: 0, until: asked_at + self.pause, parties: None },
        };
        let known = Arc::new(known);
        // Refused only where another one's has taken its place.
        drop(guard.insert(Arc::clone(&known)));
        Ok(known.parties.is_some().then_some(known))
    }

    /// As of the newest entry; `None` where one in between cannot be had, or where there are too many.
    fn carried(&self, key: &Key, known: &Arc<Known>) -> Option<Arc<Known>> {
        known.parties.as_ref()?;
        let since = self.view.since(&key.account_id, known.seq.saturating_add(1), usize::MAX)?;
        if since.balance.seq == known.seq {
            return Some(Arc::clone(known));
        }
        let records = since.records.iter().map(|record| record.decode()).collect::<Option<Vec<_>>>()?;
        let mut carried = Known::clone(known);
        let question = question(&key.account_id, key.kind);
        let is_carried = carried.carry(&question, &records, known.seq, since.balance.seq);
        let is_too_many = carried.parties.as_ref().is_none_or(|parties| parties.len() > PARTIES_MAX);
        (is_carried && !is_too_many).then(|| Arc::new(carried))
    }

    /// As ClickHouse tells them, carried to the newest entry; `None` where it is not known up to which entry they go.
    async fn ask(&self, key: &Key, asked_at: Instant) -> Result<Option<Known>, Problem> {
        let Key { account_id, kind } = key;
        let Some(sure_seq) = self.asker.sure_seq(account_id).await else { return Ok(None) };
        let until = asked_at + self.life;
        let query = PartiesQuery {
            account_id,
            kind: *kind,
            only: None,
            text: "",
            after: None,
            said_by_seq: sure_seq,
            limit: PARTIES_MAX + 1,
        };
        let told = self.asker.store.parties(query).await?;
        if !self.asker.is_whole(account_id, sure_seq).await? {
            return Ok(None);
        }
        if told.len() > PARTIES_MAX {
            return Ok(Some(Known { seq: sure_seq, until, parties: None }));
        }
        let summed_seq = told.iter().map(|party| party.newest_seq).max().unwrap_or(0).max(sure_seq);
        let parties = told.into_iter().map(|party| (party.id.clone(), party)).collect();
        let mut known = Known { seq: sure_seq, until, parties: Some(parties) };
        let Some(since) = self.view.since(account_id, sure_seq.saturating_add(1), usize::MAX) else { return Ok(None) };
        let records: Option<Vec<_>> = since.records.iter().map(|record| record.decode()).collect();
        let Some(records) = records else { return Ok(None) };
        // The rollup may be a moment ahead of what was read of the ledger.
        let is_whole = summed_seq <= since.balance.seq
            && known.carry(&question(account_id, *kind), &records, summed_seq, since.balance.seq);
        Ok(is_whole.then_some(known))
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::v1::{BoothSet, EventDefined, Usage, UsageStatus};

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const BASE_MS: i64 = 1_790_000_100_000;

    fn known(parties: impl IntoIterator<Item = Party>) -> Known {
        let parties = parties.into_iter().map(|party| (party.id.clone(), party)).collect();
        Known { seq: 10, until: Instant::now(), parties: Some(parties) }
    }

    fn record(first_seq: u64, posted_at_ms: i64, kinds: impl IntoIterator<Item = (Kind, i64, i64)>) -> LedgerRecord {
        let entries = kinds.into_iter().zip(first_seq..).map(|((kind, amount_micros, occurred_at_ms), seq)| Entry {
            seq,
            amount_micros,
            occurred_at_ms,
            kind: Some(kind),
            ..Entry::default()
        });
        LedgerRecord { posted_at_ms, entries: entries.collect(), ..LedgerRecord::default() }
    }

    fn work(event_id: &str, status: UsageStatus) -> Kind {
        let (event_id, booth_id) = (event_id.to_owned(), "bth_1".to_owned());
        Kind::Usage(Usage { event_id, booth_id, status: status.into(), ..Usage::default() })
    }

    fn defined(event_id: &str, name: &str) -> Kind {
        let (event_id, name) = (event_id.to_owned(), name.to_owned());
        Kind::EventDefined(EventDefined { event_id, name, ..EventDefined::default() })
    }

    #[test]
    fn entries_add_what_they_say_and_what_they_spend() {
        // given an event that was worked at, and an hour later work, failed work and a name
        let gala =
            Party { id: "evt_gala".into(), succeeded: 2, spent_micros: 700, last_ms: BASE_MS, ..Party::default() };
        let mut events = known([Party { first_ms: BASE_MS, ..gala }]);
        let records = [
            record(9, 1, [(defined("evt_old", "Old"), 0, 0), (work("evt_gala", UsageStatus::Success), -5, 0)]),
            record(
                11,
                BASE_MS + HOUR_MS,
                [
                    (work("evt_gala", UsageStatus::Success), -300, BASE_MS + HOUR_MS),
                    (work("evt_gala", UsageStatus::Failed), 0, BASE_MS - HOUR_MS),
                    (work("", UsageStatus::Success), -50, BASE_MS),
                    (defined("evt_gala", "Gala"), 0, BASE_MS),
                    (defined("evt_new", "New"), 0, BASE_MS),
                ],
            ),
        ];

        // when they are added, then each counts once, and those that were there not again
        assert!(events.carry(&question("acc_a", PartyKind::Event), &records, 10, 15));
        let gala = events.one("evt_gala").unwrap();
        assert_eq!((gala.succeeded, gala.failures, gala.spent_micros), (3, 1, 1_000));
        let quarter = |at_ms: i64| at_ms.div_euclid(QUARTER_MS) * QUARTER_MS;
        assert_eq!((gala.first_ms, gala.last_ms), (quarter(BASE_MS - HOUR_MS), quarter(BASE_MS + HOUR_MS)));
        assert_eq!((gala.name.as_str(), gala.order_ms()), ("Gala", BASE_MS + HOUR_MS));
        assert_eq!(events.one("evt_new").unwrap().name, "New");
        assert_eq!(events.one("evt_old"), None);
        assert_eq!(events.parties.as_ref().unwrap().len(), 2);

        // and where the rollup was ahead, only what is behind it is spent, but all is said
        let mut ahead = known([]);
        assert!(ahead.carry(&question("acc_a", PartyKind::Event), &records, 11, 15));
        let gala = ahead.one("evt_gala").unwrap();
        assert_eq!((gala.succeeded, gala.failures, gala.name.as_str()), (0, 1, "Gala"));
    }

    #[test]
    fn a_booth_is_as_it_was_set_last() {
        let set = |name: &str, paused| Kind::BoothSet(BoothSet { booth_id: "bth_1".into(), name: name.into(), paused });
        let mut booths = known([]);
        let records =
            [record(11, 7, [(set("Door", true), 0, 0), (work("evt_gala", UsageStatus::Success), -5, BASE_MS)])];
        assert!(booths.carry(&question("acc_a", PartyKind::Booth), &records, 10, 12));
        let door = booths.one("bth_1").unwrap();
        assert_eq!(
            (door.name.as_str(), door.reason.as_str(), door.said_ms, door.spent_micros),
            ("Door", "paused", 7, 5)
        );
        assert!(booths.carry(
            &question("acc_a", PartyKind::Booth),
            &[record(13, 9, [(set("Hall", false), 0, 0)])],
            12,
            13
        ));
        let hall = booths.one("bth_1").unwrap();
        assert_eq!((hall.name.as_str(), hall.reason.as_str(), hall.said_ms), ("Hall", "", 9));
    }

    #[test]
    fn where_an_entry_is_missing_nothing_is_carried() {
        let carry = |first_seq, to_seq| {
            let records = [record(first_seq, 7, [(defined("evt_a", "A"), 0, 0)])];
            known([]).carry(&question("acc_a", PartyKind::Event), &records, 10, to_seq)
        };
        assert!(carry(11, 11));
        assert!(!carry(12, 12));
        assert!(!carry(11, 12));
    }

    #[test]
    fn pages_join_on_to_each_other_in_the_order_of_the_newest_activity() {
        let party = |id: &str, name: &str, last_ms, said_ms| Party {
            id: id.into(),
            name: name.into(),
            last_ms,
            said_ms,
            ..Party::default()
        };
        let events = known([
            party("evt_a", "Gala", 5, 0),
            party("evt_b", "Prom", 0, 9),
            party("evt_c", "", 5, 4),
            party("evt_d", "Straße ΜΟΣΧΑ", 7, 8),
        ]);
        let ids = |page: Vec<Party>| page.into_iter().map(|party| party.id).collect::<Vec<_>>();
        assert_eq!(ids(events.page("", None, 10)), ["evt_b", "evt_d", "evt_c", "evt_a"]);
        assert_eq!(ids(events.page("", None, 2)), ["evt_b", "evt_d"]);
        assert_eq!(ids(events.page("", Some((8, "evt_d")), 10)), ["evt_c", "evt_a"]);
        assert_eq!(ids(events.page("", Some((5, "evt_c")), 10)), ["evt_a"]);
        assert_eq!(ids(events.page("STRASSE", None, 10)), [] as [&str; 0]);
        assert_eq!(ids(events.page("μοσ", None, 10)), ["evt_d"]);
        assert_eq!(ids(events.page("ΜΟΣ", None, 10)), ["evt_d"]);
        assert_eq!(ids(events.page("gAL", None, 10)), ["evt_a"]);
        assert_eq!(ids(events.page("EVT_", None, 10)).len(), 4);
    }
}
