//! Topics: create what is missing, refuse what differs.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tollbooth_schemas::topics::TopicSet;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name, prefix included.
    pub name: String,
    /// Number of partitions, never changed afterwards.
    pub partitions: i32,
    /// Copies; at least 3 for anything but a trial.
    pub replication: i32,
    /// Topic properties for its creation, e.g. `cleanup.policy`.
    pub config: Vec<(String, String)>,
}

impl TopicSpec {
    /// Every topic of the set; with more than one copy, an acknowledgement means at least two, and no copy without what
    /// was acknowledged may become the truth.
    #[must_use]
    pub fn all(set: &TopicSet, replication: i32) -> Vec<Self> {
        let specs = set.specs().into_iter().map(|spec| {
            let mut config: Vec<_> = spec.config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            if replication > 1 {
                config.push(("min.insync.replicas".to_owned(), "2".to_owned()));
                config.push(("unclean.leader.election.enable".to_owned(), "false".to_owned()));
            }
            Self { name: spec.name, partitions: spec.partitions, replication, config }
        });
        specs.collect()
    }

    /// Properties that a promise hangs on: what is kept, and whose clock stamps it. Others an operator may change.
    fn promised(&self) -> impl Iterator<Item = &(String, String)> {
        let is_promised = |(key, value): &&(String, String)| match key.as_str() {
            "cleanup.policy" | "message.timestamp.type" => true,
            "retention.ms" => value == "-1",
            _ => false,
        };
        self.config.iter().filter(is_promised)
    }
}

/// Why the topics are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The cluster did not answer.
    #[error("cannot reach the cluster about topic {topic}: {source}")]
    Unreachable {
        /// The topic asked about.
        topic: String,
        /// librdkafka's reason.
        source: KafkaError,
    },
    /// The cluster refused to create the topic.
    #[error("cannot create topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
    /// It exists with another number of partitions.
    #[error(
        "topic {topic} has {actual} partitions, configured are {expected}; the number is chosen once, because growing a \
         keyed topic moves accounts away from their state"
    )]
    PartitionCount {
        /// The topic.
        topic: String,
        /// What is configured.
        expected: i32,
        /// What the cluster says.
        actual: usize,
    },
    /// A property that a promise hangs on has the wrong value.
    #[error("topic {topic}: {property} is {actual}, must be {expected}: a promise hangs on it, alter the topic")]
    Unsafe {
        /// The topic.
        topic: String,
        /// The property.
        property: String,
        /// What is needed.
        expected: String,
        /// What the cluster says.
        actual: String,
    },
}

/// Creates the topics that are missing and checks those that exist: the number of partitions; what is kept for ever, what
/// is compacted and whose clock stamps records; and, for a topic with more than one replica, `min.insync.replicas` (2 or
/// more, below the number of replicas or writing stops with the first broker) and `unclean.leader.election.enable` (off).
///
/// # Errors
/// [`TopicError`]; topics created before the error stay.
pub async fn ensure_topics<C: ClientContext + 'static>(
    admin: &AdminClient<C>,
    specs: &[TopicSpec],
) -> Result<(), TopicError> {
    for spec in specs {
        if partition_count(admin, &spec.name)?.is_none() {
            create(admin, spec).await?;
        }
    }
    for spec in specs {
        let actual = settled_partition_count(admin, &spec.name).await?;
        if usize::try_from(spec.partitions) != Ok(actual) {
            let topic = spec.name.clone();
            return Err(TopicError::PartitionCount { topic, expected: spec.partitions, actual });
        }
        if spec.replication > 1 || spec.promised().next().is_some() {
            check_properties(admin, spec).await?;
        }
    }
    Ok(())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

fn partition_count<C: ClientContext>(admin: &AdminClient<C>, topic: &str) -> Result<Option<usize>, TopicError> {
    let unreachable = |source| TopicError::Unreachable { topic: topic.to_owned(), source };
    // All topics are asked for, not this one: a request by name would create it where brokers do so on their own.
    let metadata = admin.inner().fetch_metadata(None, REQUEST_TIMEOUT).map_err(unreachable)?;
    Ok(metadata.topics().iter().find(|found| found.name() == topic).map(|found| found.partitions().len()))
}

async fn create<C: ClientContext>(admin: &AdminClient<C>, spec: &TopicSpec) -> Result<(), TopicError> {
    let mut topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
    for (key, value) in &spec.config {
        topic = topic.set(key, value);
    }
    let unreachable = |source| TopicError::Unreachable { topic: spec.name.clone(), source };
    let results = admin.create_topics([&topic], &options()).await.map_err(unreachable)?;
    for result in results {
        match result {
            Ok(name) => tracing::info!(topic = name, partitions = spec.partitions, "topic created"),
            // Another service was quicker; the checks below decide whether it made the same.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicError::Refused { topic, code }),
        }
    }
    Ok(())
}

/// A topic just created is not in every broker's metadata at once.
async fn settled_partition_count<C: ClientContext>(admin: &AdminClient<C>, topic: &str) -> Result<usize, TopicError> {
    let deadline = tokio::time::Instant::now() + REQUEST_TIMEOUT;
    loop {
        match partition_count(admin, topic)? {
            Some(count) if count > 0 => return Ok(count),
            _ if tokio::time::Instant::now() >= deadline => return Ok(0),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn check_properties<C: ClientContext>(admin: &AdminClient<C>, spec: &TopicSpec) -> Result<(), TopicError> {
    let topic = spec.name.as_str();
    let unreachable = |source| TopicError::Unreachable { topic: topic.to_owned(), source };
    let described =
        admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options()).await.map_err(unreachable)?;
    let differs = |property: &str, expected: &str, actual: String| TopicError::Unsafe {
        topic: topic.to_owned(),
        property: property.to_owned(),
        expected: expected.to_owned(),
        actual,
    };
    for resource in described {
        let resource = resource.map_err(|code| unreachable(KafkaError::AdminOp(code)))?;
        let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        for (property, expected) in spec.promised() {
            let actual = value(property);
            if actual != *expected {
                return Err(differs(property, expected, actual));
            }
        }
        if spec.replication == 1 {
            continue;
        }
        let insync = value("min.insync.replicas");
        if insync.parse::<u32>().unwrap_or(0) < 2 {
            return Err(differs("min.insync.replicas", "2 or more", insync));
        }
        let unclean = value("unclean.leader.election.enable");
        if unclean != "false" {
            return Err(differs("unclean.leader.election.enable", "false", unclean));
        }
    }
    Ok(())
}
