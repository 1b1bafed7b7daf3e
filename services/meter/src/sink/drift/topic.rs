//! The tables against the ledger topic.
//!
//! All tables may agree and still lack the same: an account that is gone from each of them, or the newest entries of one.
//! What only the topic knows is how many entries there are and what they sum to. So the watch reads the topic itself, by a
//! reader and a decoder of its own, and keeps count and sum of each partition. The tables have them as well, in the newest
//! entry of each account: its `seq` is how many entries the account has, its balance what they sum to. That the rows are as
//! many and sum to that, the other half of the watch looks at, account by account.
//!
//! What stands in the tables is asked for while nothing is inserted, and the topic is then read up to exactly there. What
//! was read is kept in the table `ledger_totals`, turn by turn, so that a start goes on from there. The first time takes as
//! long as the topic is: it is read at the pace of the watch, and compared when the end is reached.

use std::cell::Cell;
use std::future::Future;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clickhouse::Row;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use tollbooth_chassis::kafka::ReaderTuning;
use tollbooth_chassis::kafka::batch::{BatchLimit, BatchReader};
use tollbooth_chassis::priority;
use tollbooth_chassis::shutdown::Shutdown;

use super::totals::{Read, Totals};
use crate::sink::Context;
use crate::sink::error::SinkError;
use crate::sink::store::{Store, within_limit};
use crate::sink::wire::WireError;

/// What is fetched ahead. The next turn fetches again what was beyond the end of this one.
const FETCH_KBYTES: u32 = 4 * 1024;
const READ: BatchLimit = BatchLimit { records: 2_000, bytes: 4 * 1024 * 1024 };
const READ_WAIT: Duration = Duration::from_millis(50);
/// A turn ends where nothing has come for so long. The next one goes on.
const PATIENCE: Duration = Duration::from_secs(5);
/// Part of the time that the question to ClickHouse may take, with the inserts waiting: one in so many,
const ASKING_PART: u32 = 100;
/// as long as the pause that this takes stays well below what is called stale.
const ASKING_PAUSE_MAX: Duration = Duration::from_secs(600);
/// Below the limit of a statement: one that is given up must not go on at the server.
const ASKING_SECONDS_MAX: &str = "25";

/// Watches on a thread of its own, because reading blocks; it ends soon after `stop`.
pub(super) fn watch(context: Context, pause: Duration, stop: Shutdown) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("ledger-watch".to_owned()).spawn(move || {
        priority::yield_to_debits();
        let asking = Asking { context, stop, took: Cell::default() };
        let mut watch = None;
        loop {
            let turned = match &mut watch {
                Some(watch) => Watch::turn(watch, &asking),
                None => Watch::begin(&asking).map(|begun| watch = begun),
            };
            if let Err(error) = turned {
                tracing::warn!(%error, "the ledger topic could not be held against the tables");
                // Whatever it was: begun anew from what was written down.
                watch = None;
            }
            let is_read_on = watch.as_ref().is_some_and(|watch| watch.standing.is_some());
            let took = if is_read_on { Duration::ZERO } else { asking.took.get().saturating_mul(ASKING_PART) };
            if asking.stop.wait_blocking(pause.max(took.min(ASKING_PAUSE_MAX))) {
                return;
            }
        }
    })
}

/// What is asked of, and until when.
struct Asking {
    context: Context,
    stop: Shutdown,
    /// How long the question to ClickHouse took last, answered or not.
    took: Cell<Duration>,
}

impl Asking {
    /// Waits for an answer; `None`: it is not needed any more.
    fn ask<T>(&self, question: impl Future<Output = Result<T, SinkError>>) -> Result<Option<T>, SinkError> {
        self.context.runtime.block_on(async {
            tokio::select! {
                answer = question => answer.map(Some),
                () = self.stop.triggered() => Ok(None),
            }
        })
    }
}

/// What the tables said, and where what they hold ends; by partition.
struct Standing {
    ends: Vec<i64>,
    totals: Vec<Totals>,
}

struct Watch {
    reader: BatchReader,
    /// By partition.
    read: Vec<Read>,
    /// As it was written down last.
    written: Vec<Read>,
    /// Up to where the topic is being read.
    standing: Option<Standing>,
}

impl Watch {
    /// `None`: it was asked to stop.
    fn begin(asking: &Asking) -> Result<Option<Self>, SinkError> {
        let context = &asking.context;
        let tuning = ReaderTuning { queued_kbytes_max: FETCH_KBYTES, ..ReaderTuning::default() };
        // Without statistics: it does not read all the time, and nobody would take them.
        let reader =
            BatchReader::new(&context.clients.reader(&context.config.offsets_group, tuning)).map_err(reading)?;
        let read = asking.ask(context.store.read_totals(context.binding.partitions))?;
        Ok(read.map(|read| Self { reader, written: read.clone(), read, standing: None }))
    }

    /// Compares, where the topic could be read up to where the tables end.
    fn turn(&mut self, asking: &Asking) -> Result<(), SinkError> {
        let context = &asking.context;
        if self.standing.is_none() {
            self.standing = Self::standing_now(asking)?;
        }
        self.reader.attend();
        let Some(standing) = self.standing.take() else { return Ok(()) };
        for (read, end) in self.read.iter_mut().zip(&standing.ends) {
            *read = read.within(*end);
        }
        let left_before = self.left(&standing.ends);
        let is_whole = self.read_up_to(asking, &standing.ends)?;
        self.write_down(asking);
        let left = self.left(&standing.ends);
        context.metrics.drift.topic_left(left);
        if left == 0 || left < left_before {
            context.metrics.drift.topic_went_on();
        }
        if !is_whole {
            self.standing = Some(standing);
            return Ok(());
        }
        let apart: Vec<(u64, u128)> =
            self.read.iter().zip(&standing.totals).map(|(read, tables)| read.totals.apart(*tables)).collect();
        for (partition, (read, tables)) in self.read.iter().zip(&standing.totals).enumerate() {
            if read.totals != *tables {
                let (next, topic) = (read.next, read.totals);
                tracing::error!(
                    partition,
                    next,
                    ?topic,
                    ?tables,
                    "the tables are not what the ledger topic is: run verify"
                );
            }
        }
        context.metrics.drift.compared(&apart);
        Ok(())
    }

    /// Writes down how far the topic was read. Where that fails it is tried again a turn later.
    fn write_down(&mut self, asking: &Asking) {
        if self.read == self.written {
            return;
        }
        match asking.ask(asking.context.store.write_totals(&self.read)) {
            Ok(_) => self.written.clone_from(&self.read),
            Err(error) => tracing::warn!(%error, "how far the ledger topic was read is not written down"),
        }
    }

    /// What the tables hold, with no insert under way. Where the last one's outcome is not known, or another sink inserts, the
    /// next turn asks.
    fn standing_now(asking: &Asking) -> Result<Option<Standing>, SinkError> {
        let context = &asking.context;
        let answer = asking.ask(async {
            let inserts = context.inserts.lock().await;
            let Some(ends) = inserts.clone() else { return Ok(None) };
            let asked_at = Instant::now();
            let totals = context.store.kept_totals(context.binding.partitions).await;
            asking.took.set(asked_at.elapsed());
            let totals = totals?;
            // A sink that was cut off from the brokers does not know yet that another one has its place. Whoever inserts
            // says so in `sunk_ranges` before.
            let newest = context.store.newest_ranges().await?;
            let is_ours =
                newest.is_none_or(|newest| newest.ranges.iter().map(|range| range.end).eq(ends.iter().copied()));
            Ok(is_ours.then_some(Standing { ends, totals }))
        })?;
        Ok(answer.flatten())
    }

    /// Whether every partition is read up to its end; not where a turn's share of entries was read before.
    fn read_up_to(&mut self, asking: &Asking, ends: &[i64]) -> Result<bool, SinkError> {
        let (topic, rows_max) = (&asking.context.binding.ledger_topic, asking.context.config.drift_rows_max);
        let mut behind = TopicPartitionList::new();
        for (partition, (read, end)) in (0..).zip(self.read.iter().zip(ends)) {
            if read.next < *end {
                behind.add_partition_offset(topic, partition, Offset::Offset(read.next)).map_err(reading)?;
            }
        }
        if behind.count() == 0 {
            return Ok(true);
        }
        self.reader.assign(&behind).map_err(reading)?;
        let (mut entries, mut heard_at) = (0_u64, Instant::now());
        while self.left(ends) > 0 {
            if entries >= rows_max || heard_at.elapsed() > PATIENCE || asking.stop.is_triggered() {
                break;
            }
            for record in self.reader.read(READ, READ_WAIT).map_err(reading)?.iter() {
                let (partition, offset) = (record.partition(), record.offset());
                let Some(index) = usize::try_from(partition).ok().filter(|index| *index < ends.len()) else { continue };
                let taken = self.read[index].take(offset, ends[index], record.payload().unwrap_or_default());
                entries += taken.map_err(|_| SinkError::Record { partition, offset, source: WireError::Malformed })?;
                heard_at = Instant::now();
            }
        }
        // Nothing more is fetched until the next turn.
        self.reader.assign(&TopicPartitionList::new()).map_err(reading)?;
        Ok(self.left(ends) == 0)
    }

    /// Offsets to the ends.
    fn left(&self, ends: &[i64]) -> i64 {
        self.read.iter().zip(ends).map(|(read, end)| (end - read.next).max(0)).sum()
    }
}

#[derive(Debug, Row, Deserialize)]
struct KeptRow {
    partition: i32,
    entries: u64,
    micros: i128,
}

#[derive(Debug, Row, Deserialize)]
struct ReadRow {
    partition: i32,
    next_offset: i64,
    entries: u64,
    micros: i128,
}

/// By partition; none for one that is not there.
fn by_partition<T: Copy + Default>(partitions: i32, rows: impl Iterator<Item = (i32, T)>) -> Vec<T> {
    let mut all = vec![T::default(); usize::try_from(partitions).unwrap_or_default()];
    for (partition, of) in rows {
        if let Some(place) = usize::try_from(partition).ok().and_then(|index| all.get_mut(index)) {
            *place = of;
        }
    }
    all
}

impl Store {
    /// Entries and amounts of all accounts, as the newest entry of each has them.
    async fn kept_totals(&self, partitions: i32) -> Result<Vec<Totals>, SinkError> {
        let query = self
            .client()
            .query(
                "SELECT toInt32(kafkaMurmurHash(account_id) % ?) AS partition, sum(newest.1) AS entries, \
                 sum(toDecimal128(newest.2, 6)) AS micros \
                 FROM (SELECT account_id, max(latest) AS newest FROM account_balances GROUP BY account_id) \
                 GROUP BY partition",
            )
            .bind(partitions)
            .with_setting("optimize_aggregation_in_order", "1")
            .with_setting("max_execution_time", ASKING_SECONDS_MAX);
        let rows = within_limit(query.fetch_all::<KeptRow>()).await.map_err(failed("sum the balances up"))?;
        let totals = |row: KeptRow| (row.partition, Totals { entries: row.entries, micros: row.micros });
        Ok(by_partition(partitions, rows.into_iter().map(totals)))
    }

    /// What was read of the topic, as it was written down last.
    async fn read_totals(&self, partitions: i32) -> Result<Vec<Read>, SinkError> {
        let query = self.client().query(
            "SELECT partition, next_offset, entries, amount AS micros FROM ledger_totals FINAL ORDER BY partition",
        );
        let rows = within_limit(query.fetch_all::<ReadRow>()).await.map_err(failed("read ledger_totals"))?;
        let read = |row: ReadRow| {
            let totals = Totals { entries: row.entries, micros: row.micros };
            (row.partition, Read { next: row.next_offset, totals })
        };
        Ok(by_partition(partitions, rows.into_iter().map(read)))
    }

    async fn write_totals(&self, read: &[Read]) -> Result<(), SinkError> {
        let rows = vec!["(?, ?, ?, toDecimal128(?, 6))"; read.len()].join(", ");
        let sql = format!("INSERT INTO ledger_totals (partition, next_offset, entries, amount) VALUES {rows}");
        let mut insert = self.client().query(&sql).with_setting("async_insert", "0");
        for (partition, read) in (0_i32..).zip(read) {
            let amount = decimal(read.totals.micros);
            insert = insert.bind(partition).bind(read.next).bind(read.totals.entries).bind(amount);
        }
        within_limit(insert.execute()).await.map_err(failed("write ledger_totals"))
    }
}

/// Millionths as a decimal that ClickHouse reads exactly.
fn decimal(micros: i128) -> String {
    let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}

fn failed(doing: &'static str) -> impl FnOnce(clickhouse::error::Error) -> SinkError {
    move |source| SinkError::ClickHouse { doing, source }
}

fn reading(source: rdkafka::error::KafkaError) -> SinkError {
    SinkError::Kafka { doing: "read the ledger for the drift watch", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_exactly() {
        assert_eq!(
            [0, 5, -240_000, 1_000_000, -12_000_001].map(decimal),
            ["0.000000", "0.000005", "-0.240000", "1.000000", "-12.000001"]
        );
    }

    #[test]
    fn each_partition_has_its_own_and_those_without_have_nothing() {
        let rows = [(2, 7), (0, 5), (3, 9), (-1, 9)];
        assert_eq!(by_partition(3, rows.into_iter()), [5, 0, 7]);
    }
}
