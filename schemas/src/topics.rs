//! The topic set: names, partition counts, retention.

use crate::sessions::ENDED_SESSIONS_KEPT_MS;

/// Partitions of `usage`, `commands` and `ledger` where nothing else is said.
pub const PARTITIONS_DEFAULT: i32 = 64;

const DAY_MS: i64 = crate::time::DAY_MS;

/// Names of all topics under one prefix, and the one partition count of the keyed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSet {
    /// Begins every name, `tollbooth.`.
    pub prefix: String,
    /// Partitions of `usage`, `commands` and `ledger`; chosen once, never changed.
    pub partitions: i32,
}

/// What a topic must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name.
    pub name: String,
    /// Partition count.
    pub partitions: i32,
    /// Broker-side settings.
    pub config: Vec<(&'static str, String)>,
}

macro_rules! names {
    ($($(#[$doc:meta])* $method:ident = $name:literal,)*) => {
        impl TopicSet {
            $($(#[$doc])*
            #[must_use]
            pub fn $method(&self) -> String {
                format!(concat!("{}", $name), self.prefix)
            })*
        }
    };
}

names! {
    /// CloudEvents usage, keyed by account.
    usage = "usage",
    /// `tollbooth.v1.Command`, keyed by account.
    commands = "commands",
    /// `tollbooth.v1.LedgerRecord`, keyed by account.
    ledger = "ledger",
    /// `tollbooth.v1.Reply`, keyed by ingest instance.
    replies = "replies",
    /// Effects to carry out.
    outbox = "outbox",
    /// Original bytes with headers of [`crate::dead_letter::header`].
    dead_letter = "dead-letter",
    /// Price book documents, JSON, keyed by version.
    price_book = "price-book",
    /// Empty; its owner is the active sink.
    sink_lease = "sink-lease",
    /// API keys, booths, events, endpoints; JSON, compacted.
    registry = "registry",
    /// What is on its way to endpoints; JSON, compacted.
    deliveries = "deliveries",
    /// Who changed what; JSON, for ever.
    audit = "audit",
    /// When each key was last used; JSON, compacted.
    key_usage = "key-usage",
    /// Sessions that were signed out of; JSON, keyed by session.
    ended_sessions = "ended-sessions",
}

impl TopicSet {
    /// Every topic with its partitions and settings.
    #[must_use]
    pub fn specs(&self) -> Vec<TopicSpec> {
        let delete = |days: i64| {
            vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", days.saturating_mul(DAY_MS).to_string())]
        };
        let forever = || {
            vec![
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", "-1".to_owned()),
                ("retention.bytes", "-1".to_owned()),
            ]
        };
        // Not compacted: a session ends once.
        let as_long_as_a_session = || {
            vec![
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", ENDED_SESSIONS_KEPT_MS.to_string()),
                ("retention.bytes", "-1".to_owned()),
            ]
        };
        let with_append_time = |mut config: Vec<(&'static str, String)>| {
            // Age is judged by the broker's time of receipt, which a client cannot choose.
            config.push(("message.timestamp.type", "LogAppendTime".to_owned()));
            config
        };
        let with_bytes_max = |mut config: Vec<(&'static str, String)>, bytes: u32| {
            config.push(("max.message.bytes", bytes.to_string()));
            config
        };
        let spec = |name, partitions, config| TopicSpec { name, partitions, config };
        let keyed = self.partitions;
        vec![
            spec(self.usage(), keyed, with_append_time(delete(35))),
            spec(self.commands(), keyed, with_append_time(delete(35))),
            spec(self.ledger(), keyed, forever()),
            spec(
                self.replies(),
                1,
                vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", "3600000".to_owned())],
            ),
            spec(self.outbox(), keyed, delete(7)),
            spec(self.dead_letter(), 1, with_bytes_max(delete(90), 2 * 1024 * 1024)),
            spec(self.price_book(), 1, forever()),
            spec(self.sink_lease(), 1, delete(7)),
            spec(self.registry(), 1, vec![("cleanup.policy", "compact".to_owned())]),
            spec(self.deliveries(), 1, vec![("cleanup.policy", "compact".to_owned())]),
            spec(self.audit(), 1, with_append_time(forever())),
            spec(self.key_usage(), 1, vec![("cleanup.policy", "compact".to_owned())]),
            spec(self.ended_sessions(), 1, with_append_time(as_long_as_a_session())),
        ]
    }
}

/// Consumer group of the meter's workers.
pub const METER_GROUP: &str = "tollbooth-meter";
/// Consumer group whose member on `sink-lease` is the active sink.
pub const SINK_LEASE_GROUP: &str = "tollbooth-sink";
/// Group under which the sink's offsets of `ledger` are committed.
pub const SINK_OFFSETS_GROUP: &str = "ledger-sink";

/// What stands between a topic's name and its input generation; no topic's name may have it.
const GENERATION_MARK: char = '@';

/// The name of an input topic in ids of its records: the topic's own in generation 0, `tollbooth.usage@1` in the next. Offsets
/// of the topics of a later generation begin at 0 again.
#[must_use]
pub fn of_generation(topic: &str, generation: u32) -> String {
    if generation == 0 { topic.to_owned() } else { format!("{topic}{GENERATION_MARK}{generation}") }
}

/// The topic's own name and its generation in such a name.
#[must_use]
pub fn without_generation(name: &str) -> (&str, u32) {
    let split = name.rsplit_once(GENERATION_MARK);
    let later = split.and_then(|(topic, generation)| Some((topic, generation.parse().ok()?)));
    later.unwrap_or((name, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_read_back_from_a_name() {
        for generation in [0, 1, 30] {
            assert_eq!(without_generation(&of_generation("a.usage", generation)), ("a.usage", generation));
        }
        assert_eq!(of_generation("a.usage", 0), "a.usage");
        assert_eq!(without_generation("a@b"), ("a@b", 0));
    }
}
