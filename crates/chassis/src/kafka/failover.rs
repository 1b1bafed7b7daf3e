//! What calls fail with while a broker is lost, and trying again until that is over.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a topic or partition that nobody knows may still appear: a broker that has just come back may not have been
/// told of it yet. Most often its name is wrong, and whoever asked shall hear that soon.
const UNKNOWN_MAX: Duration = Duration::from_secs(5);

/// Whether a client meets this while a broker is lost, comes back, or hands a partition or a group over. It passes by
/// itself; a password that is wrong, a right that is missing and an offset that is gone do not.
#[must_use]
pub fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let Some(code) = error.rdkafka_error_code() else { return false };
    let is_of_connection = matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::DestroyBroker
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::NetworkException
    );
    let is_of_leader = matches!(
        code,
        Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
    );
    let is_of_group = matches!(
        code,
        Code::WaitingForCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::UnstableOffsetCommit
    );
    is_of_connection || is_of_leader || is_of_group || is_unknown(error)
}

fn is_unknown(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition | Code::UnknownTopicId)
    )
}

/// What did not pass in time, or does not pass at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOutlasted {
    /// Trying again is of no use.
    #[error(transparent)]
    Lasting(KafkaError),
    /// It did not end.
    #[error("tried {tries} times in {} s, the last time: {error}", .within.as_secs())]
    TooLong {
        /// How often.
        tries: u32,
        /// How long.
        within: Duration,
        /// What the last try failed with.
        error: KafkaError,
    },
}

/// Asks again and again while what it fails with [passes](is_passing), for at most `limit`; `ask` is told how much of
/// that is left. Blocks.
///
/// # Errors
/// What the last try failed with.
pub fn outlast<T>(limit: Duration, mut ask: impl FnMut(Duration) -> Result<T, KafkaError>) -> Result<T, NotOutlasted> {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        let error = match ask(limit.saturating_sub(begun.elapsed())) {
            Ok(answer) => return Ok(answer),
            Err(error) if is_passing(&error) => error,
            Err(error) => return Err(NotOutlasted::Lasting(error)),
        };
        tries += 1;
        let within = begun.elapsed();
        let enough = if is_unknown(&error) { UNKNOWN_MAX.min(limit) } else { limit };
        if within + PAUSE >= enough {
            return Err(NotOutlasted::TooLong { tries, within, error });
        }
        tracing::debug!(%error, tries, "asking the brokers again");
        std::thread::sleep(PAUSE);
    }
}

/// The first offset of a partition and its end, as the consumer's isolation level sees it.
///
/// For a topic that a client does not read, librdkafka goes by what it was last told. A leader that is gone it asks until
/// the time is up, again and again, and where it was told of none it calls the partition unknown without a question: for
/// minutes, until it is told anew by chance. So half of the time is kept for asking who leads, and then that one.
///
/// # Errors
/// When the broker does not answer within `timeout`.
pub fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> Result<(i64, i64), KafkaError> {
    let begun = Instant::now();
    let left = || timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
    match consumer.fetch_watermarks(topic, partition, timeout / 2) {
        Err(error) if is_passing(&error) => {
            consumer.fetch_metadata(Some(topic), left())?;
            consumer.fetch_watermarks(topic, partition, left())
        }
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn of(code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::MetadataFetch(code)
    }

    #[test]
    fn what_passes_is_tried_again_until_it_has_passed() {
        // given a partition that gets its next leader while it is asked for
        let mut answers = vec![
            Ok(7),
            Err(of(RDKafkaErrorCode::BrokerTransportFailure)),
            Err(of(RDKafkaErrorCode::LeaderNotAvailable)),
            Err(of(RDKafkaErrorCode::NotLeaderForPartition)),
        ];
        // when asked, then there is an answer
        assert_eq!(outlast(LIMIT, |_| answers.pop().unwrap()), Ok(7));
        assert_eq!(answers, []);
    }

    #[test]
    fn what_does_not_pass_is_told_at_once() {
        for code in [
            RDKafkaErrorCode::TopicAuthorizationFailed,
            RDKafkaErrorCode::GroupAuthorizationFailed,
            RDKafkaErrorCode::Authentication,
            RDKafkaErrorCode::OffsetOutOfRange,
            RDKafkaErrorCode::AutoOffsetReset,
            RDKafkaErrorCode::Fatal,
        ] {
            let mut tries = 0;
            let answer = outlast(LIMIT, |_| {
                tries += 1;
                Err::<(), _>(of(code))
            });
            assert_eq!((answer, tries), (Err(NotOutlasted::Lasting(of(code))), 1));
        }
    }

    #[test]
    fn what_lasts_too_long_is_told_with_how_long_it_was_tried() {
        // given brokers that are not there, and half a second
        let limit = Duration::from_millis(500);
        let mut given = Vec::new();
        // when
        let answer = outlast(limit, |left| {
            given.push(left);
            Err::<(), _>(of(RDKafkaErrorCode::AllBrokersDown))
        });
        // then it was tried more than once, each time within what was left, and the last error is named
        let text = answer.unwrap_err().to_string();
        assert!(given.len() > 1 && given.iter().all(|left| *left <= limit), "{given:?}");
        let told = format!("tried {} times in 0 s, the last time: ", given.len());
        assert!(text.starts_with(&told) && text.contains("AllBrokersDown"), "{text}");
    }
}
