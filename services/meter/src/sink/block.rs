//! Blocks: which records go into one insert, and under which token.
//!
//! Nothing here does I/O. What a block holds is fixed by its ranges alone, so that a repeat after a crash is the same.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use chrono::{DateTime, Datelike, Utc};
use sha2::{Digest, Sha256};

use super::error::SinkError;
use super::rows::Rows;
use super::wire::{self, Record, WireError};
use super::witness::Witnesses;

/// Bytes of a row beside the texts of its record: fixed-width columns and the lengths of the texts.
const ROW_BYTES: usize = 180;

/// `[begin, end)` of one partition. `end` is one past the last record taken, not past markers behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub begin: i64,
    /// One past the last record.
    pub end: i64,
}

impl Range {
    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.begin >= self.end
    }
}

/// What is inserted at once.
#[derive(Debug, Clone)]
pub struct Block {
    /// Every partition, in order, empty ones included.
    pub ranges: Vec<Range>,
    /// `insert_deduplication_token`.
    pub token: String,
    /// Rows.
    pub rows: u64,
    /// The body of the insert; the same bytes for every try.
    pub body: Bytes,
    /// Posting time of the oldest record.
    pub oldest_posted_at_ms: i64,
    /// Per partition with records: posting time of the newest.
    pub newest_posted_at_ms: Vec<(i32, i64)>,
    /// What tells whether it is in the tables.
    pub witnesses: Witnesses,
    /// It was intended before, and may have been inserted.
    pub is_repeat: bool,
}

impl Block {
    /// Sum of the ends; grows from block to block.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ranges.iter().map(|range| range.end.max(0).cast_unsigned()).sum()
    }
}

/// The token of a block: it says which records of which log, and nothing of when or by whom.
#[must_use]
pub fn token(cluster_id: &str, ledger_topic: &str, ranges: &[Range]) -> String {
    let mut hash = Sha256::new();
    if cfg!(feature = "planted-insert-token-per-attempt") {
        hash.update(std::process::id().to_le_bytes());
    }
    for text in [cluster_id, ledger_topic] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    for range in ranges {
        hash.update(range.partition.to_le_bytes());
        hash.update(range.begin.to_le_bytes());
        hash.update(range.end.to_le_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug)]
struct Waiting {
    offset: i64,
    posted_at_ms: i64,
    rows: usize,
    /// What its rows will take in a body, roughly and rather more.
    weight: usize,
    bytes: Box<[u8]>,
}

#[derive(Debug)]
struct PartitionQueue {
    partition: i32,
    /// Everything below is in a block already.
    begin: i64,
    records: VecDeque<Waiting>,
}

/// Limits of one block.
#[derive(Debug, Clone, Copy)]
pub struct BlockLimits {
    /// Most rows.
    pub rows: usize,
    /// Most bytes.
    pub bytes: usize,
}

/// Records that were read and are in no block yet.
#[derive(Debug)]
pub struct Queue {
    cluster_id: String,
    ledger_topic: String,
    partitions: Vec<PartitionQueue>,
    rows: usize,
    weight: usize,
}

impl Queue {
    /// An empty queue; `begins` is the first offset of every partition, in order of partitions.
    #[must_use]
    pub fn new(cluster_id: &str, ledger_topic: &str, begins: &[i64]) -> Self {
        let partitions = (0..)
            .zip(begins)
            .map(|(partition, begin)| PartitionQueue { partition, begin: *begin, records: VecDeque::new() })
            .collect();
        let (cluster_id, ledger_topic) = (cluster_id.to_owned(), ledger_topic.to_owned());
        Self { cluster_id, ledger_topic, partitions, rows: 0, weight: 0 }
    }

    /// Takes a record in; records of a partition come in order.
    ///
    /// # Errors
    /// [`SinkError::Record`] for bytes that are not a ledger record, [`SinkError::Contradiction`] for a record of no known
    /// partition, or at or below one that was taken in: its rows would be there twice.
    pub fn push(&mut self, partition: i32, offset: i64, bytes: &[u8]) -> Result<(), SinkError> {
        let outline = wire::outline(bytes).map_err(|source| SinkError::Record { partition, offset, source })?;
        let Some(queue) = usize::try_from(partition).ok().and_then(|index| self.partitions.get_mut(index)) else {
            let why = format!("ledger partition {partition} is none of the {} known ones", self.partitions.len());
            return Err(SinkError::Contradiction(why));
        };
        let first_free = queue.records.back().map_or(queue.begin, |last| last.offset + 1);
        if offset < first_free {
            let why = format!("ledger partition {partition}: offset {offset} came again, {first_free} was next");
            return Err(SinkError::Contradiction(why));
        }
        let weight = bytes.len() + outline.rows * (ROW_BYTES + outline.account_id_bytes);
        self.rows += outline.rows;
        self.weight += weight;
        let (posted_at_ms, rows) = (outline.posted_at_ms, outline.rows);
        queue.records.push_back(Waiting { offset, posted_at_ms, rows, weight, bytes: bytes.into() });
        Ok(())
    }

    /// Rows waiting.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes waiting, as they would be in a body.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.weight
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.iter().all(|queue| queue.records.is_empty())
    }

    /// Posting time of the oldest record of a partition that waits.
    #[must_use]
    pub fn oldest_posted_at_ms(&self, partition: i32) -> Option<i64> {
        let queue = self.partitions.get(usize::try_from(partition).ok()?)?;
        queue.records.front().map(|record| record.posted_at_ms)
    }

    /// First offset of a partition that is in no block.
    #[must_use]
    pub fn first_waiting_offset(&self, partition: i32) -> Option<i64> {
        let queue = self.partitions.get(usize::try_from(partition).ok()?)?;
        queue.records.front().map(|record| record.offset)
    }

    /// Offset of the last record taken in of a partition.
    #[must_use]
    pub fn last_offset(&self, partition: i32) -> Option<i64> {
        let queue = self.partitions.get(usize::try_from(partition).ok()?)?;
        queue.records.back().map(|record| record.offset)
    }

    /// Where every partition's next block begins.
    #[must_use]
    pub fn ranges_done(&self) -> Vec<Range> {
        let done = |queue: &PartitionQueue| Range { partition: queue.partition, begin: queue.begin, end: queue.begin };
        self.partitions.iter().map(done).collect()
    }

    /// Makes the next block: the oldest records first, whichever partition they lie in, as many as fit, all of one month
    /// of `posted_at` (the table is partitioned by it, and a block must fall into one partition). `None` when nothing
    /// waits.
    ///
    /// # Errors
    /// [`SinkError::Record`] for a record that cannot become rows; nothing is skipped, so the sink stops there.
    pub fn cut(&mut self, limits: BlockLimits) -> Result<Option<Block>, SinkError> {
        self.oldest_month().map(|month| self.cut_of(month, limits)).transpose()
    }

    /// As [`cut`](Self::cut), but of the month of which most waits at the heads of the partitions.
    ///
    /// Where a log is read from long ago, some partitions get ahead of others by months. Blocks of the oldest month would
    /// then be as small as what has just come of it, while the rest waits.
    ///
    /// # Errors
    /// As there.
    pub fn cut_fullest(&mut self, limits: BlockLimits) -> Result<Option<Block>, SinkError> {
        self.fullest_month().map(|month| self.cut_of(month, limits)).transpose()
    }

    fn cut_of(&mut self, month: Month, limits: BlockLimits) -> Result<Block, SinkError> {
        let mut counts = vec![0_usize; self.partitions.len()];
        let (mut rows, mut weight) = (0, 0);
        while let Some((index, record)) = self.oldest_behind(&counts, month) {
            let is_first = rows == 0 && weight == 0;
            let fits = rows + record.rows <= limits.rows && weight + record.weight <= limits.bytes;
            // A record that is larger than a block would otherwise never go.
            if !(fits || is_first) {
                break;
            }
            rows += record.rows;
            weight += record.weight;
            counts[index] += 1;
        }
        self.take(&counts)
    }

    /// Makes the block of exactly these ranges, which were intended before.
    ///
    /// # Errors
    /// [`SinkError::RangeChanged`] when the records read are not those of the ranges.
    pub fn cut_exactly(&mut self, ranges: &[Range]) -> Result<Block, SinkError> {
        let mut counts = vec![0_usize; self.partitions.len()];
        for (queue, (range, count)) in self.partitions.iter().zip(ranges.iter().zip(&mut counts)) {
            *count = queue.records.iter().take_while(|record| record.offset < range.end).count();
            let last = count.checked_sub(1).and_then(|index| queue.records.get(index)).map(|record| record.offset + 1);
            if queue.partition != range.partition
                || last.unwrap_or(range.begin) != range.end
                || queue.begin != range.begin
            {
                let (partition, begin, end) = (range.partition, range.begin, range.end);
                let why = format!("the last record lies before {last:?}, and reading began at {}", queue.begin);
                return Err(SinkError::RangeChanged { partition, begin, end, why });
            }
        }
        Ok(Block { is_repeat: true, ..self.take(&counts)? })
    }

    fn oldest_month(&self) -> Option<Month> {
        let heads = self.partitions.iter().filter_map(|queue| queue.records.front());
        heads.map(|record| record.posted_at_ms).min().map(month_of)
    }

    fn fullest_month(&self) -> Option<Month> {
        let mut rows_of = BTreeMap::<Month, usize>::new();
        for queue in &self.partitions {
            let Some(month) = queue.records.front().map(|record| month_of(record.posted_at_ms)) else { continue };
            let of_month = queue.records.iter().take_while(|record| month_of(record.posted_at_ms) == month);
            *rows_of.entry(month).or_default() += of_month.map(|record| record.rows).sum::<usize>();
        }
        // Of equal ones the last, which is the oldest.
        rows_of.into_iter().rev().max_by_key(|(_, rows)| *rows).map(|(month, _)| month)
    }

    /// The oldest record of this month behind those counted already, of the partitions that go on with it.
    fn oldest_behind(&self, counts: &[usize], month: Month) -> Option<(usize, &Waiting)> {
        let next = |(index, queue): (usize, &'_ PartitionQueue)| {
            let posted_at_ms = queue.records.get(counts[index])?.posted_at_ms;
            (month_of(posted_at_ms) == month).then_some((index, posted_at_ms))
        };
        let (index, _) =
            self.partitions.iter().enumerate().filter_map(next).min_by_key(|(_, posted_at_ms)| *posted_at_ms)?;
        Some((index, self.partitions[index].records.get(counts[index])?))
    }

    fn take(&mut self, counts: &[usize]) -> Result<Block, SinkError> {
        let mut taken = Vec::with_capacity(counts.iter().sum());
        let mut ranges = Vec::with_capacity(self.partitions.len());
        let mut newest_posted_at_ms = Vec::new();
        let mut oldest_posted_at_ms = i64::MAX;
        for (queue, count) in self.partitions.iter_mut().zip(counts) {
            let (partition, begin) = (queue.partition, queue.begin);
            for record in queue.records.drain(..*count) {
                self.rows -= record.rows;
                self.weight -= record.weight;
                queue.begin = record.offset + 1;
                oldest_posted_at_ms = oldest_posted_at_ms.min(record.posted_at_ms);
                match newest_posted_at_ms.last_mut() {
                    Some((known, newest)) if *known == partition => *newest = record.posted_at_ms,
                    _ => newest_posted_at_ms.push((partition, record.posted_at_ms)),
                }
                taken.push((partition, record));
            }
            ranges.push(Range { partition, begin, end: queue.begin });
        }
        let token = token(&self.cluster_id, &self.ledger_topic, &ranges);
        let rows = rows_of(&taken)?;
        let (count, body) = (rows.len() as u64, Bytes::from(rows.encode()));
        let (witnesses, is_repeat) = (rows.into_witnesses(), false);
        Ok(Block { ranges, token, rows: count, body, oldest_posted_at_ms, newest_posted_at_ms, witnesses, is_repeat })
    }
}

/// In the order of the table, account by account: records are sorted here at a fraction of what it costs the server to sort
/// rows, and what its views group lies together. An account's records lie in one partition, and stay in its order.
fn rows_of(taken: &[(i32, Waiting)]) -> Result<Rows, SinkError> {
    let failed = |partition, offset| move |source: WireError| SinkError::Record { partition, offset, source };
    let mut records = Vec::with_capacity(taken.len());
    for (partition, waiting) in taken {
        let record = Record::parse(&waiting.bytes).map_err(failed(*partition, waiting.offset))?;
        records.push((*partition, waiting.offset, record));
    }
    records.sort_by_key(|(_, _, record)| record.account_id);
    let mut rows = Rows::default();
    for (partition, offset, record) in &records {
        let number = u16::try_from(*partition).unwrap_or(u16::MAX);
        rows.push_entries(number, record).map_err(failed(*partition, *offset))?;
    }
    Ok(rows)
}

/// Year and month.
type Month = (i32, u32);

/// In UTC, as the table's partition key computes it.
fn month_of(posted_at_ms: i64) -> Month {
    let instant = DateTime::<Utc>::from_timestamp_millis(posted_at_ms).unwrap_or_default();
    (instant.year(), instant.month())
}
