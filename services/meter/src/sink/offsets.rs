//! Where the sink stands: committed offsets with their intent, the database's own word, and what follows from both.

use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::producer::BaseProducer;
use rdkafka::producer::ProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::kafka::batch::BatchReader;
use tollbooth_chassis::kafka::txn;

use super::block::Range;
use super::error::SinkError;
use super::store::Sunk;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// What stands before the end of the intended range in an offset's metadata.
const INTENT: &str = "pending:";

fn kafka(doing: &'static str) -> impl FnOnce(rdkafka::error::KafkaError) -> SinkError {
    move |source| SinkError::Kafka { doing, source }
}

/// The metadata beside a committed offset: done up to the offset, about to insert up to the number named here.
#[must_use]
pub fn intent(range: &Range) -> String {
    if range.is_empty() { String::new() } else { format!("{INTENT}{}", range.end) }
}

/// Reads [`intent`]; without one the range is empty.
fn parse_intent(partition: i32, begin: i64, metadata: &str) -> Result<Range, SinkError> {
    let end = match metadata.strip_prefix(INTENT) {
        Some(end) => end.parse().ok().filter(|end| *end > begin),
        None if metadata.is_empty() => Some(begin),
        None => None,
    };
    let unknown = || {
        SinkError::Contradiction(format!(
            "ledger partition {partition}: the metadata {metadata:?} beside the committed offset {begin} is none of the sink's"
        ))
    };
    Ok(Range { partition, begin, end: end.ok_or_else(unknown)? })
}

/// The committed offsets of all partitions with their intents; `None` where the group has none.
///
/// # Errors
/// When the coordinator does not answer, or some partitions have an offset and others do not.
pub fn committed(reader: &BatchReader, topic: &str, partitions: i32) -> Result<Option<Vec<Range>>, SinkError> {
    let mut asked = TopicPartitionList::new();
    for partition in 0..partitions {
        asked.add_partition(topic, partition);
    }
    let answer = reader.committed(asked, REQUEST_TIMEOUT).map_err(kafka("read the committed offsets"))?;
    let mut ranges = Vec::new();
    for partition in 0..partitions {
        let Some(element) = answer.find_partition(topic, partition) else { continue };
        if let Err(source) = element.error() {
            return Err(SinkError::Kafka { doing: "read the committed offsets", source });
        }
        if let Offset::Offset(begin) = element.offset() {
            ranges.push(parse_intent(partition, begin, element.metadata())?);
        }
    }
    match ranges.len() {
        0 => Ok(None),
        // All are committed in one transaction, so that they are all there or none.
        some if i32::try_from(some) == Ok(partitions) => Ok(Some(ranges)),
        some => Err(SinkError::Contradiction(format!(
            "{some} of the {partitions} partitions of {topic} have a committed offset; delete the offsets of the group to \
             go on from the table sunk_ranges"
        ))),
    }
}

/// Commits, for all partitions at once, "done up to `begin`, about to insert up to `end`".
///
/// # Errors
/// As classified by [`txn`]; an abortable transaction is aborted and tried once more.
pub fn commit<C: ProducerContext>(
    producer: &BaseProducer<C>,
    group: &ConsumerGroupMetadata,
    topic: &str,
    ranges: &[Range],
) -> Result<(), SinkError> {
    let mut list = TopicPartitionList::with_capacity(ranges.len());
    for range in ranges {
        let mut element = list.add_partition(topic, range.partition);
        element.set_offset(Offset::Offset(range.begin)).map_err(kafka("prepare a commit"))?;
        element.set_metadata(intent(range));
    }
    match commit_once(producer, group, &list) {
        Err(txn::TxnError::Abortable(error)) => {
            tracing::warn!(%error, "the sink's commit is aborted and tried again");
            txn::abort(producer)?;
            Ok(commit_once(producer, group, &list)?)
        }
        outcome => Ok(outcome?),
    }
}

fn commit_once<C: ProducerContext>(
    producer: &BaseProducer<C>,
    group: &ConsumerGroupMetadata,
    list: &TopicPartitionList,
) -> Result<(), txn::TxnError> {
    txn::begin(producer)?;
    txn::send_offsets(producer, list, group)?;
    txn::commit(producer)
}

/// Where to go on: first repeat `ranges` where they are not empty, then read from their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// Every partition.
    pub ranges: Vec<Range>,
    /// Rows that the repeated block must have, where that is known.
    pub rows: Option<u64>,
    /// How this was found out.
    pub from: Source,
}

/// What [`resume`] relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nothing was ever sunk here: from offset 0.
    Beginning,
    /// Committed offsets.
    Committed,
    /// The table `sunk_ranges`.
    SunkRanges,
}

/// Finds out where to go on from the committed offsets, the newest row of `sunk_ranges` and whether the ledger table is
/// empty.
///
/// The row is written between the intent's commit and the insert. So, beside a commit, it is either that very intent, or
/// the block before it.
///
/// # Errors
/// [`SinkError::Contradiction`] where going on would lose or double rows.
pub fn resume(
    partitions: i32,
    committed: Option<Vec<Range>>,
    newest: Option<Sunk>,
    is_empty: bool,
) -> Result<Resume, SinkError> {
    let beginning = || {
        let ranges = (0..partitions).map(|partition| Range { partition, begin: 0, end: 0 }).collect();
        Resume { ranges, rows: None, from: Source::Beginning }
    };
    if let Some(newest) = &newest
        && i32::try_from(newest.ranges.len()) != Ok(partitions)
    {
        let count = newest.ranges.len();
        return Err(contradiction(&format!("sunk_ranges has {count} partitions, the ledger topic has {partitions}")));
    }
    match (committed, newest) {
        (None, None) if is_empty => Ok(beginning()),
        (None, None) => Err(contradiction(
            "the database has rows, and there are neither committed offsets nor sunk ranges to tell which; use an empty \
             database",
        )),
        (None, Some(newest)) => Ok(Resume { ranges: newest.ranges, rows: Some(newest.rows), from: Source::SunkRanges }),
        // A new database beside old offsets is filled from the beginning.
        (Some(committed), None) if is_empty && committed.iter().any(|range| range.begin > 0) => Ok(beginning()),
        (Some(ranges), None) => Ok(Resume { ranges, rows: None, from: Source::Committed }),
        (Some(committed), Some(newest)) => compare(committed, newest),
    }
}

fn compare(committed: Vec<Range>, newest: Sunk) -> Result<Resume, SinkError> {
    if newest.ranges == committed {
        return Ok(Resume { ranges: committed, rows: Some(newest.rows), from: Source::Committed });
    }
    let pairs = || newest.ranges.iter().zip(&committed);
    if pairs().all(|(sunk, committed)| sunk.end == committed.begin) {
        return Ok(Resume { ranges: committed, rows: None, from: Source::Committed });
    }
    if pairs().all(|(sunk, committed)| sunk.begin >= committed.begin) {
        // The group's offsets were set back: the database knows better, and a second charge of rows is not wanted.
        return Ok(Resume { ranges: newest.ranges, rows: Some(newest.rows), from: Source::SunkRanges });
    }
    Err(contradiction(
        "the database ends before the committed offsets: it was restored from an older copy or replaced; use an empty \
         database, or delete the offsets of the group to go on from where the database ends",
    ))
}

fn contradiction(what: &str) -> SinkError {
    SinkError::Contradiction(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ends: [(i64, i64); 2]) -> Vec<Range> {
        (0..).zip(ends).map(|(partition, (begin, end))| Range { partition, begin, end }).collect()
    }

    fn sunk(ends: [(i64, i64); 2]) -> Option<Sunk> {
        Some(Sunk { token: String::new(), ranges: ranges(ends), rows: 7 })
    }

    #[test]
    fn an_intent_reads_back_as_its_range() {
        for range in ranges([(3, 9), (4, 4)]) {
            assert_eq!(parse_intent(range.partition, range.begin, &intent(&range)).unwrap(), range);
        }
    }

    #[test]
    fn foreign_metadata_is_refused() {
        for metadata in ["pending:", "pending:3", "pending:x", "else"] {
            assert!(parse_intent(0, 3, metadata).is_err(), "{metadata}");
        }
    }

    #[test]
    fn a_new_ledger_and_a_new_database_begin_at_the_beginning() {
        for committed in [None, Some(ranges([(5, 9), (0, 0)]))] {
            let resume = resume(2, committed, None, true).unwrap();
            assert_eq!((resume.ranges, resume.from), (ranges([(0, 0), (0, 0)]), Source::Beginning));
        }
    }

    #[test]
    fn an_intent_is_repeated_whether_or_not_its_ranges_were_written_down() {
        let intent = ranges([(5, 9), (2, 2)]);
        for newest in [sunk([(5, 9), (2, 2)]), sunk([(1, 5), (0, 2)]), None] {
            let resume = resume(2, Some(intent.clone()), newest, false).unwrap();
            assert_eq!((resume.ranges, resume.from), (intent.clone(), Source::Committed));
        }
    }

    #[test]
    fn a_first_intent_is_repeated_into_an_empty_database() {
        let intent = ranges([(0, 9), (0, 2)]);
        assert_eq!(resume(2, Some(intent.clone()), None, true).unwrap().ranges, intent);
    }

    #[test]
    fn forgotten_offsets_are_found_in_the_database() {
        let resume = resume(2, None, sunk([(5, 9), (2, 2)]), false).unwrap();
        assert_eq!(resume, Resume { ranges: ranges([(5, 9), (2, 2)]), rows: Some(7), from: Source::SunkRanges });
    }

    #[test]
    fn offsets_that_were_set_back_do_not_double_rows() {
        let resume = resume(2, Some(ranges([(1, 1), (0, 0)])), sunk([(5, 9), (2, 2)]), false).unwrap();
        assert_eq!((resume.ranges, resume.from), (ranges([(5, 9), (2, 2)]), Source::SunkRanges));
    }

    #[test]
    fn a_database_that_lags_behind_the_offsets_is_refused() {
        let refused = resume(2, Some(ranges([(20, 20), (2, 2)])), sunk([(5, 9), (2, 2)]), false);
        assert!(matches!(refused, Err(SinkError::Contradiction(_))), "{refused:?}");
    }

    #[test]
    fn rows_that_nothing_accounts_for_are_refused() {
        assert!(matches!(resume(2, None, None, false), Err(SinkError::Contradiction(_))));
    }
}
