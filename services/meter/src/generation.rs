//! Which input generation topics belong to, written beside the meter's committed offsets.
//!
//! Offsets of new input topics begin at 0 again. Where the generation was not raised with them, what the ledger says was
//! consumed of the old topics would be taken for what was consumed of the new ones, and acknowledged records would be
//! skipped. So every commit says the generation, and a meter that is set to a lower one does not start.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
};
use tollbooth_chassis::kafka::{KafkaClients, ReaderTuning, batch::BatchReader};
use tollbooth_schemas::topics::TopicSet;

const GENERATION: &str = "generation:";
const RESTORING: &str = "restoring:";
const BROKER_WAIT: Duration = Duration::from_secs(30);
/// How long a group may be without a coordinator.
const COORDINATOR_WAIT: Duration = Duration::from_secs(60);
const COORDINATOR_PAUSE: Duration = Duration::from_millis(200);

/// What stands beside a committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The topic's generation.
    Generation(u32),
    /// A restore from this backup has begun and not ended.
    Restoring(String),
}

impl Mark {
    /// As metadata of an offset.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Generation(generation) => format!("{GENERATION}{generation}"),
            Self::Restoring(id) => format!("{RESTORING}{id}"),
        }
    }

    /// `None`: metadata of a release that wrote none.
    #[must_use]
    pub fn of(metadata: &str) -> Option<Self> {
        if let Some(id) = metadata.strip_prefix(RESTORING) {
            return Some(Self::Restoring(id.to_owned()));
        }
        metadata.strip_prefix(GENERATION)?.parse().ok().map(Self::Generation)
    }
}

/// Why a meter must not start on these topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongGeneration {
    /// Acknowledged records would be taken for consumed ones.
    #[error(
        "input_generation is {configured}, and the input topics are of generation {found}: a restore raised it. Set \
         input_generation = {found} for every meter"
    )]
    Lower {
        /// The setting.
        configured: u32,
        /// What the offsets say.
        found: u32,
    },
    /// Not everything is there.
    #[error("a restore of the backup {0} has not ended: run it again, it goes on where it stopped")]
    Restoring(String),
}

/// Whether these marks allow a meter that is set to `configured`.
///
/// # Errors
/// Why not.
pub fn check(configured: u32, marks: &[Mark]) -> Result<(), WrongGeneration> {
    for mark in marks {
        match mark {
            Mark::Restoring(id) => return Err(WrongGeneration::Restoring(id.clone())),
            Mark::Generation(found) if *found > configured => {
                return Err(WrongGeneration::Lower { configured, found: *found });
            }
            Mark::Generation(_) => {}
        }
    }
    Ok(())
}

/// Whether the group's coordinator is not found yet.
fn is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

/// The marks of both input topics. Blocks; a topic that is not there has none.
///
/// # Errors
/// When the group's coordinator does not answer.
pub fn marks(clients: &KafkaClients, group: &str, topics: &TopicSet) -> Result<Vec<Mark>, KafkaError> {
    let reader = BatchReader::new(&clients.reader(group, ReaderTuning::default()))?;
    let mut asked = TopicPartitionList::new();
    for topic in [topics.usage(), topics.commands()] {
        for partition in 0..topics.partitions {
            asked.add_partition(&topic, partition);
        }
    }
    let deadline = Instant::now() + COORDINATOR_WAIT;
    let answer = loop {
        match reader.committed(asked.clone(), BROKER_WAIT) {
            // A cluster that has just begun, or has just moved the group.
            Err(error) if is_moving(&error) && Instant::now() < deadline => std::thread::sleep(COORDINATOR_PAUSE),
            answer => break answer?,
        }
    };
    let committed = answer.elements().into_iter().filter(|element| matches!(element.offset(), Offset::Offset(_)));
    Ok(committed.filter_map(|element| Mark::of(element.metadata())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_other_metadata_is_none() {
        for mark in [Mark::Generation(0), Mark::Generation(7), Mark::Restoring("0001795".to_owned())] {
            assert_eq!(Mark::of(&mark.text()), Some(mark));
        }
        for metadata in ["", "generation:", "generation:-1", "pending:3"] {
            assert_eq!(Mark::of(metadata), None, "{metadata}");
        }
    }

    #[test]
    fn a_coordinator_that_is_not_there_yet_is_waited_for_and_nothing_else_is() {
        let of = |code| KafkaError::MetadataFetch(code);
        assert!(is_moving(&of(RDKafkaErrorCode::NotCoordinator)));
        assert!(is_moving(&of(RDKafkaErrorCode::CoordinatorNotAvailable)));
        assert!(!is_moving(&of(RDKafkaErrorCode::GroupAuthorizationFailed)));
        assert!(!is_moving(&of(RDKafkaErrorCode::OperationTimedOut)));
    }

    #[test]
    fn a_meter_of_an_older_generation_is_refused_and_a_newer_one_goes_on() {
        let marks = [Mark::Generation(1), Mark::Generation(1)];
        assert_eq!(check(0, &marks), Err(WrongGeneration::Lower { configured: 0, found: 1 }));
        assert_eq!((check(1, &marks), check(2, &marks), check(0, &[])), (Ok(()), Ok(()), Ok(())));
        let half = [Mark::Generation(1), Mark::Restoring("a".to_owned())];
        assert_eq!(check(9, &half), Err(WrongGeneration::Restoring("a".to_owned())));
    }
}
