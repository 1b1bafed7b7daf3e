//! The audit trail, read from the end of its topic.
//!
//! The topic is no table, and needs none: it grows by two records for an action of a person, so that what is looked for is
//! read through, backwards, in windows of offsets. `from` and `to` are found by the brokers' own index of time. A page looks
//! at so many records at most; it may therefore be short, or empty, and still have more behind it.
//!
//! An action is listed where its first record lies. Its end lies behind that and was met before, reading backwards; for the
//! actions at the top of a page that does not begin at the topic's end it is looked for in the records that follow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::Semaphore;
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::audit::{AuditEnded, AuditRecord, AuditStarted};

const PARTITION: i32 = 0;
/// Offsets of one window.
const WINDOW: i64 = 1_000;
/// Offsets behind a page that the ends of its actions are looked for in: an action is over within half a minute.
const ENDS_WITHIN: i64 = 2_000;
/// Offsets that one page looks at.
const LOOKED_AT_MAX: i64 = 20_000;
/// Pages under way at once: each is a connection and up to 8 MiB.
const CONCURRENT_MAX: usize = 2;
const TURN_PATIENCE: Duration = Duration::from_secs(2);
const READ_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
const RETRY_AFTER_S: u32 = 2;

/// What is looked for; what is absent is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Key that acted.
    pub actor: Option<String>,
    /// Account that it was about.
    pub account_id: Option<String>,
    /// Code of what was done.
    pub action: Option<String>,
    /// Not before.
    pub from_ms: Option<i64>,
    /// Before.
    pub to_ms: Option<i64>,
}

impl AuditFilter {
    fn holds(&self, started: &AuditStarted) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        is(&self.actor, Some(started.actor.key_id.as_str()))
            && is(&self.account_id, started.account_id.as_ref().map(|id| id.as_str()))
            && is(&self.action, Some(&started.action))
    }
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Of its first record.
    pub offset: i64,
    /// When it began, by the broker's clock.
    pub at_ms: i64,
    /// Who and what.
    pub started: AuditStarted,
    /// What became of it, and when. `None`: it is under way, or the process ended.
    pub ended: Option<(i64, AuditEnded)>,
}

/// A page, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Rows.
    pub actions: Vec<Audited>,
    /// Where the next page begins: below this offset. `None`: there is none.
    pub below: Option<i64>,
}

/// Reads the topic.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    clients: KafkaClients,
    topic: String,
    turns: Arc<Semaphore>,
}

impl AuditTrail {
    /// Connects when it is asked.
    #[must_use]
    pub fn new(clients: KafkaClients) -> Self {
        let topic = clients.section().topic("audit");
        Self { clients, topic, turns: Arc::new(Semaphore::new(CONCURRENT_MAX)) }
    }

    /// The newest actions below an offset, at most `limit`.
    ///
    /// # Errors
    /// 503 where the brokers do not answer, or too many ask.
    pub async fn page(&self, filter: AuditFilter, below: Option<i64>, limit: usize) -> Result<AuditPage, Problem> {
        let unavailable = |detail: &'static str| Problem::unavailable(RETRY_AFTER_S).with_detail(detail);
        let turn = tokio::time::timeout(TURN_PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(unavailable("too many ask for the audit trail")) };
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let page = this.read(&filter, below, limit);
            drop(turn);
            page
        });
        read.await.map_err(Problem::internal)?.map_err(|error| {
            tracing::warn!(%error, "the audit trail cannot be read");
            unavailable("the audit trail cannot be read at the moment")
        })
    }

    fn read(&self, filter: &AuditFilter, below: Option<i64>, limit: usize) -> Result<AuditPage, KafkaError> {
        let reader = Reader::open(&self.clients, &self.topic)?;
        let (low, end) = reader.bounds;
        let upper_by_time = filter.to_ms.map(|to_ms| reader.offset_at(to_ms)).transpose()?;
        let floor = filter.from_ms.map(|from_ms| reader.offset_at(from_ms)).transpose()?.unwrap_or(low).max(low);
        let mut upper = [below, upper_by_time].into_iter().flatten().min().unwrap_or(end).min(end);
        let mut gathered = Gathered::default();
        if upper < end {
            gathered.ends_of(reader.window(upper, end.min(upper.saturating_add(ENDS_WITHIN)))?);
        }
        let lowest = floor.max(upper.saturating_sub(LOOKED_AT_MAX));
        while upper > lowest && gathered.actions.len() <= limit {
            let from = lowest.max(upper.saturating_sub(WINDOW));
            gathered.take(reader.window(from, upper)?, filter);
            upper = from;
        }
        let mut page = AuditPage { actions: gathered.actions, below: (upper > floor).then_some(upper) };
        if page.actions.len() > limit {
            page.actions.truncate(limit);
            page.below = page.actions.last().map(|last| last.offset);
        }
        Ok(page)
    }
}

/// A record with where and when it was written.
type Placed = (i64, i64, AuditRecord);

/// What was met so far.
#[derive(Debug, Default)]
struct Gathered {
    ends: HashMap<String, (i64, AuditEnded)>,
    actions: Vec<Audited>,
}

impl Gathered {
    fn ends_of(&mut self, records: Vec<Placed>) {
        for (_, at_ms, record) in records {
            if let AuditRecord::Ended(ended) = record {
                self.ends.insert(ended.audit_id.clone(), (at_ms, ended));
            }
        }
    }

    /// Takes a window, which lies before all that was met.
    fn take(&mut self, records: Vec<Placed>, filter: &AuditFilter) {
        for (offset, at_ms, record) in records.into_iter().rev() {
            match record {
                AuditRecord::Ended(ended) => {
                    self.ends.insert(ended.audit_id.clone(), (at_ms, ended));
                }
                AuditRecord::Started(started) => {
                    let ended = self.ends.remove(&started.audit_id);
                    if filter.holds(&started) {
                        self.actions.push(Audited { offset, at_ms, started, ended });
                    }
                }
            }
        }
    }
}

struct Reader<'a> {
    consumer: BaseConsumer<LogContext>,
    topic: &'a str,
    deadline: Instant,
    bounds: (i64, i64),
}

impl<'a> Reader<'a> {
    fn open(clients: &KafkaClients, topic: &'a str) -> Result<Self, KafkaError> {
        let tuning = ReaderTuning {
            partition_fetch_bytes_max: 1024 * 1024,
            queued_kbytes_max: 8 * 1024,
            ..ReaderTuning::default()
        };
        // The group exists in name only: nothing is committed.
        let config = clients.reader(&format!("{topic}-page"), tuning);
        let consumer: BaseConsumer<LogContext> = BaseConsumer::from_config_and_context(&config, LogContext)?;
        let bounds = consumer.fetch_watermarks(topic, PARTITION, READ_PATIENCE)?;
        Ok(Self { consumer, topic, deadline: Instant::now() + READ_PATIENCE, bounds })
    }

    /// The first offset that was written at an instant or after it; the end where there is none.
    fn offset_at(&self, at_ms: i64) -> Result<i64, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic, PARTITION, Offset::Offset(at_ms))?;
        let found = self.consumer.offsets_for_times(list, READ_PATIENCE)?;
        match found.find_partition(self.topic, PARTITION).map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset),
            _ => Ok(self.bounds.1),
        }
    }

    /// All records of `[from, to)`, oldest first; what is none is left out.
    fn window(&self, from: i64, to: i64) -> Result<Vec<Placed>, KafkaError> {
        let mut records = Vec::new();
        if from >= to {
            return Ok(records);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic, PARTITION, Offset::Offset(from))?;
        self.consumer.assign(&list)?;
        loop {
            if let Some(message) = self.consumer.poll(POLL) {
                let message = message?;
                if message.offset() < to {
                    match message.payload().map(serde_json::from_slice) {
                        Some(Ok(record)) => {
                            records.push((
                                message.offset(),
                                message.timestamp().to_millis().unwrap_or_default(),
                                record,
                            ));
                        }
                        _ => tracing::error!(offset = message.offset(), "a record of the audit trail cannot be read"),
                    }
                }
                if message.offset() + 1 >= to {
                    return Ok(records);
                }
            }
            if Instant::now() > self.deadline {
                return Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::audit::{AuditActor, AuditOutcome};
    use tollbooth_schemas::keys::KeyKind;

    use super::*;

    fn started(id: &str, action: &str) -> AuditRecord {
        AuditRecord::Started(AuditStarted {
            audit_id: id.to_owned(),
            actor: AuditActor { key_id: "key_1".parse().unwrap(), kind: KeyKind::Admin },
            action: action.to_owned(),
            account_id: None,
            resource: None,
            idempotency_key: None,
            request_id: "req".to_owned(),
        })
    }

    fn ended(id: &str) -> AuditRecord {
        let outcome = AuditOutcome::Succeeded;
        AuditRecord::Ended(AuditEnded { audit_id: id.to_owned(), outcome, status: None, code: None, entry_id: None })
    }

    #[test]
    fn an_end_finds_its_action_over_windows_and_actions_that_overlap() {
        // given actions that overlap, one of them without an end, in two windows
        let records =
            [started("a", "x"), started("b", "x"), ended("b"), started("c", "y"), ended("a"), started("d", "x")];
        let placed: Vec<Placed> =
            (0_i64..).zip(records).map(|(offset, record)| (offset, offset * 10, record)).collect();
        let (first, second) = (placed[..3].to_vec(), placed[3..].to_vec());
        let mut gathered = Gathered::default();

        // when they are read backwards
        let filter = AuditFilter { action: Some("x".to_owned()), ..AuditFilter::default() };
        gathered.take(second, &filter);
        gathered.take(first, &filter);

        // then each has its own end, and what was not asked for is left out
        let seen: Vec<(i64, Option<i64>)> = gathered
            .actions
            .iter()
            .map(|action| (action.offset, action.ended.as_ref().map(|(at_ms, _)| *at_ms)))
            .collect();
        assert_eq!(seen, [(5, None), (1, Some(20)), (0, Some(40))]);
    }
}
