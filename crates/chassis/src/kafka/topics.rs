//! Topics: create what is missing, refuse what differs.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use tollbooth_schemas::topics::TopicSet;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Not a property that could be altered.
const REPLICAS: &str = "the number of replicas";
/// Kafka's own: where transactions stand, and how far groups have read.
const TRANSACTIONS: &str = "__transaction_state";
const OFFSETS: &str = "__consumer_offsets";

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

    /// Properties that a promise hangs on: what is kept, and whose clock stamps it. Others an operator may change, and
    /// how long a record is kept, but for sign-outs: none may be forgotten before its session is over.
    fn promised(&self) -> impl Iterator<Item = &(String, String)> {
        let is_of_sign_outs = is_of_sign_outs(&self.name);
        let is_promised = move |(key, value): &&(String, String)| match key.as_str() {
            "cleanup.policy" | "message.timestamp.type" => true,
            // Kept for ever means both: the size limit deletes whatever the age limit says.
            "retention.ms" | "retention.bytes" => value == "-1" || is_of_sign_outs,
            _ => false,
        };
        self.config.iter().filter(is_promised)
    }
}

fn is_of_sign_outs(topic: &str) -> bool {
    topic.ends_with("ended-sessions")
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
         keyed topic moves accounts away from their state. To have more, copy the ledger into other topics: \
         `tollbooth-meter backup`, then `restore --rekey`"
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
    #[error("topic {topic}: {property} is {actual:?}, must be {expected}: {why}. {remedy}", why = why(topic, property), remedy = remedy(topic, property, expected))]
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

/// What breaks without the property.
fn why(topic: &str, property: &str) -> &'static str {
    match property {
        "min.insync.replicas" => "with fewer, what was acknowledged may stand on one disk alone, and go with it",
        "unclean.leader.election.enable" => {
            "a copy without acknowledged records could become the truth, and charges and payments be gone"
        }
        REPLICAS if topic == TRANSACTIONS => "meters and sinks stop with the one broker that keeps their transactions",
        REPLICAS if topic == OFFSETS => {
            "groups stop with the one broker that keeps their offsets, which go with its disk"
        }
        REPLICAS => "what was acknowledged stands on one disk alone, and goes with it",
        "retention.ms" | "retention.bytes" if is_of_sign_outs(topic) => {
            "sign-outs would be forgotten, and copies of their cookies be taken again"
        }
        "retention.ms" | "retention.bytes" => "entries would be deleted, and balances be wrong after the next restart",
        "cleanup.policy" => "records would be deleted that everybody counts on, or kept that shall go",
        "message.timestamp.type" => "a sender's clock would decide how old a record is",
        _ => "a promise hangs on it",
    }
}

/// What to do about it.
fn remedy(topic: &str, property: &str, expected: &str) -> String {
    if property == REPLICAS {
        let made_by =
            made_by(topic).map(|setting| format!(", and set {setting}=3 of every broker, by which it is made"));
        let made_by = made_by.unwrap_or_default();
        return format!("Add replicas (kafka-reassign-partitions.sh){made_by}; topics.replication=1 is for trial");
    }
    // `2 or more`: the least of them.
    let value = expected.split(' ').next().unwrap_or(expected);
    format!(
        "kafka-configs.sh --bootstrap-server HOST:PORT --alter --entity-type topics --entity-name {topic} --add-config \
         {property}={value}"
    )
}

/// The setting of the brokers that says with how many replicas a topic of Kafka's own is made.
fn made_by(topic: &str) -> Option<&'static str> {
    match topic {
        TRANSACTIONS => Some("transaction.state.log.replication.factor"),
        OFFSETS => Some("offsets.topic.replication.factor"),
        _ => None,
    }
}

/// Creates the topics that are missing and checks those that exist: the number of partitions; what is kept for ever, what
/// is compacted and whose clock stamps records; that it has more than one replica where that is configured; and, wherever
/// the cluster says that it has, `min.insync.replicas` (2 or more; as many as replicas, and writing stops with the first
/// broker: a warning) and `unclean.leader.election.enable` (off).
///
/// Where more than one replica is configured, nothing is created while Kafka's own topics of transactions and offsets have
/// one: where they exist, and this user may see them.
///
/// # Errors
/// [`TopicError`]; topics created before the error stay.
pub async fn ensure_topics<C: ClientContext + 'static>(
    admin: &AdminClient<C>,
    specs: &[TopicSpec],
) -> Result<(), TopicError> {
    check_internal(admin, specs)?;
    for spec in specs {
        if found(admin, &spec.name)?.is_none() {
            create(admin, spec).await?;
        }
    }
    for spec in specs {
        let found = settled(admin, &spec.name).await?;
        if usize::try_from(spec.partitions) != Ok(found.partitions) {
            let topic = spec.name.clone();
            return Err(TopicError::PartitionCount { topic, expected: spec.partitions, actual: found.partitions });
        }
        if spec.replication > 1 || found.replicas_min > 1 || spec.promised().next().is_some() {
            check_properties(admin, spec, found).await?;
        }
    }
    Ok(())
}

/// What the cluster says about a topic that exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    partitions: usize,
    /// Of the partition that has the fewest, whatever is configured: a topic may have been made by hand.
    replicas_min: usize,
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

/// What the cluster says about all topics that this user may see, asked for the sake of one.
fn metadata<C: ClientContext>(admin: &AdminClient<C>, topic: &str) -> Result<Metadata, TopicError> {
    let unreachable = |source| TopicError::Unreachable { topic: topic.to_owned(), source };
    // All topics are asked for, not this one: a request by name would create it where brokers do so on their own.
    admin.inner().fetch_metadata(None, REQUEST_TIMEOUT).map_err(unreachable)
}

fn found_in(metadata: &Metadata, topic: &str) -> Option<Found> {
    metadata.topics().iter().find(|found| found.name() == topic).map(|found| {
        let replicas = found.partitions().iter().map(|partition| partition.replicas().len());
        Found { partitions: found.partitions().len(), replicas_min: replicas.min().unwrap_or_default() }
    })
}

fn found<C: ClientContext>(admin: &AdminClient<C>, topic: &str) -> Result<Option<Found>, TopicError> {
    Ok(found_in(&metadata(admin, topic)?, topic))
}

/// Kafka's own topics, where ours are to have more than one replica.
fn check_internal<C: ClientContext>(admin: &AdminClient<C>, specs: &[TopicSpec]) -> Result<(), TopicError> {
    let Some(promised) = specs.iter().find(|spec| spec.replication > 1) else { return Ok(()) };
    let metadata = metadata(admin, &promised.name)?;
    // That of transactions first: without it nothing is charged.
    [TRANSACTIONS, OFFSETS]
        .into_iter()
        .filter_map(|topic| Some((topic, found_in(&metadata, topic)?)))
        .try_for_each(|(topic, found)| judge_internal(topic, found))
}

/// Whether a topic of Kafka's own outlives a broker.
fn judge_internal(topic: &str, found: Found) -> Result<(), TopicError> {
    // Without partitions it is just being made.
    if found.partitions == 0 || found.replicas_min > 1 {
        return Ok(());
    }
    Err(unsafe_topic(topic, REPLICAS, "2 or more", found.replicas_min.to_string()))
}

fn unsafe_topic(topic: &str, property: &str, expected: &str, actual: String) -> TopicError {
    TopicError::Unsafe { topic: topic.to_owned(), property: property.to_owned(), expected: expected.to_owned(), actual }
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
async fn settled<C: ClientContext>(admin: &AdminClient<C>, topic: &str) -> Result<Found, TopicError> {
    let deadline = tokio::time::Instant::now() + REQUEST_TIMEOUT;
    loop {
        match found(admin, topic)? {
            Some(found) if found.partitions > 0 => return Ok(found),
            _ if tokio::time::Instant::now() >= deadline => return Ok(Found::default()),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn check_properties<C: ClientContext>(
    admin: &AdminClient<C>,
    spec: &TopicSpec,
    found: Found,
) -> Result<(), TopicError> {
    let topic = spec.name.as_str();
    let unreachable = |source| TopicError::Unreachable { topic: topic.to_owned(), source };
    let described =
        admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options()).await.map_err(unreachable)?;
    for resource in described {
        let resource = resource.map_err(|code| unreachable(KafkaError::AdminOp(code)))?;
        judge(spec, found, |name| resource.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default())?;
    }
    Ok(())
}

/// Whether what a promise hangs on is as it must be; `value` is a property of the topic, empty where it has none.
fn judge(spec: &TopicSpec, found: Found, value: impl Fn(&str) -> String) -> Result<(), TopicError> {
    let differs = |property: &str, expected: &str, actual: String| unsafe_topic(&spec.name, property, expected, actual);
    for (property, expected) in spec.promised() {
        let actual = value(property);
        if !keeps(property, expected, &actual) {
            return Err(differs(property, expected, actual));
        }
    }
    let replicas = found.replicas_min;
    if replicas < 2 {
        let is_trial = spec.replication == 1;
        return if is_trial { Ok(()) } else { Err(differs(REPLICAS, "2 or more", replicas.to_string())) };
    }
    let insync = value("min.insync.replicas");
    let insync_min: usize = insync.parse().unwrap_or(0);
    if insync_min < 2 {
        return Err(differs("min.insync.replicas", "2 or more", insync));
    }
    if insync_min >= replicas {
        tracing::warn!(topic = spec.name, insync_min, replicas, "writing stops with the first broker that is away");
    }
    let unclean = value("unclean.leader.election.enable");
    if unclean != "false" {
        return Err(differs("unclean.leader.election.enable", "false", unclean));
    }
    Ok(())
}

/// Whether a property is as promised. An age limit is a least.
fn keeps(property: &str, expected: &str, actual: &str) -> bool {
    // -1 is for ever.
    let age_ms = |text: &str| text.parse::<i64>().ok().map(|ms| if ms < 0 { i64::MAX } else { ms });
    match property {
        "retention.ms" => age_ms(actual).is_some_and(|actual| Some(actual) >= age_ms(expected)),
        _ => actual == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: &[(&str, &str)] = &[
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("min.insync.replicas", "2"),
        ("unclean.leader.election.enable", "false"),
    ];

    fn spec(topic: &str, replication: i32) -> TopicSpec {
        let set = TopicSet { prefix: String::new(), partitions: 8 };
        TopicSpec::all(&set, replication).into_iter().find(|spec| spec.name == topic).unwrap()
    }

    /// The property that a topic is refused for, which is safe but for `change`.
    fn refused(spec: &TopicSpec, replicas_min: usize, change: Option<(&str, &str)>) -> Option<String> {
        let found = Found { partitions: 8, replicas_min };
        let value = |name: &str| {
            let changed = change.filter(|(changed, _)| *changed == name);
            let safe = SAFE.iter().copied().find(|(known, _)| *known == name);
            changed.or(safe).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        match judge(spec, found, value) {
            Ok(()) => None,
            Err(TopicError::Unsafe { property, .. }) => Some(property),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_kept_for_ever_has_neither_an_age_nor_a_size_limit() {
        let ledger = spec("ledger", 3);
        assert_eq!(refused(&ledger, 3, None), None);
        for (property, value) in [("retention.ms", "604800000"), ("retention.bytes", "1073741824")] {
            assert_eq!(refused(&ledger, 3, Some((property, value))).as_deref(), Some(property));
            // An operator may choose how long usage is kept.
            let usage = spec("usage", 3);
            assert_eq!(refused(&usage, 3, Some((property, value))), None);
        }
        let deleting = Some(("cleanup.policy", "compact"));
        assert_eq!(refused(&ledger, 3, deleting).as_deref(), Some("cleanup.policy"));
        let foreign_clock = Some(("message.timestamp.type", "CreateTime"));
        assert_eq!(refused(&spec("usage", 3), 3, foreign_clock).as_deref(), Some("message.timestamp.type"));
    }

    #[test]
    fn what_was_signed_out_of_is_kept_as_long_as_a_session_may_live() {
        let ended = spec("ended-sessions", 3);
        for kept_ms in ["2678400000", "9999999999", "-1"] {
            assert_eq!(refused(&ended, 3, Some(("retention.ms", kept_ms))), None, "{kept_ms}");
        }
        for (property, value) in
            [("retention.ms", "2678399999"), ("retention.ms", ""), ("retention.bytes", "1073741824")]
        {
            assert_eq!(refused(&ended, 3, Some((property, value))).as_deref(), Some(property), "{value}");
        }
    }

    #[test]
    fn durability_is_judged_by_the_replicas_that_exist_not_by_the_configured_ones() {
        for configured in [1, 3] {
            let ledger = spec("ledger", configured);
            for (property, value) in [("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")] {
                assert_eq!(refused(&ledger, 3, Some((property, value))).as_deref(), Some(property), "{configured}");
            }
        }
        // One copy is a trial where one is configured, and a lost promise where more are.
        assert_eq!(refused(&spec("ledger", 1), 1, Some(("min.insync.replicas", "1"))), None);
        assert_eq!(refused(&spec("ledger", 3), 1, None).as_deref(), Some("the number of replicas"));
    }

    #[test]
    fn kafkas_own_topics_are_refused_with_one_replica_and_the_setting_that_makes_them() {
        let judged = |topic: &str, partitions: usize, replicas_min: usize| {
            let found = Found { partitions, replicas_min };
            judge_internal(topic, found).map_err(|error| error.to_string())
        };
        for (topic, setting) in [
            ("__transaction_state", "transaction.state.log.replication.factor=3"),
            ("__consumer_offsets", "offsets.topic.replication.factor=3"),
        ] {
            // given a topic of which a partition has one replica, then it says what to set and how to add some
            let said = judged(topic, 50, 1).unwrap_err();
            let begins = format!("topic {topic}: the number of replicas is \"1\", must be 2 or more: ");
            assert!(said.starts_with(&begins), "{said}");
            assert!(said.contains(setting) && said.contains("kafka-reassign-partitions.sh"), "{said}");
            // given one with more, or one that is just being made, then it is taken
            for (partitions, replicas_min) in [(50, 2), (50, 3), (0, 0)] {
                assert_eq!(judged(topic, partitions, replicas_min), Ok(()), "{partitions}, {replicas_min}");
            }
        }
    }

    #[test]
    fn a_dangerous_topic_is_refused_with_what_breaks_and_the_command_that_mends_it() {
        let said = |property: &str, expected: &str, actual: &str| {
            let topic = "tollbooth.ledger".to_owned();
            let (property, expected, actual) = (property.to_owned(), expected.to_owned(), actual.to_owned());
            TopicError::Unsafe { topic, property, expected, actual }.to_string()
        };
        let insync = said("min.insync.replicas", "2 or more", "1");
        assert!(insync.contains("one disk alone") && insync.ends_with("min.insync.replicas=2"), "{insync}");
        let unclean = said("unclean.leader.election.enable", "false", "true");
        assert!(unclean.contains("acknowledged records"), "{unclean}");
        assert!(unclean.contains("--entity-name tollbooth.ledger --add-config unclean.leader.election.enable=false"));
        let replicas = said(REPLICAS, "2 or more", "1");
        assert!(replicas.contains("topics.replication") && !replicas.contains("kafka-configs"), "{replicas}");
    }
}
