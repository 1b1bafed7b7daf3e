//! The topics that a backup is written into.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rdkafka::{
    admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier},
    config::FromClientConfigAndContext as _,
};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, TopicSpec, ensure_topics};
use tollbooth_schemas::topics::TopicSet;

use super::{KEPT, topic};
use crate::{config::MeterConfig, verify::log::Log};

const TIMESTAMP: &str = "message.timestamp.type";
const BROKER_WAIT: Duration = Duration::from_secs(30);
const FOLLOW_PAUSE: Duration = Duration::from_millis(50);

/// Whose clock stamps what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// The record keeps the time that it brings along.
    Record,
    /// The broker's.
    Append,
}

/// Topics, asked and changed by an administrator.
pub(super) struct Target {
    admin: AdminClient<LogContext>,
    runtime: tokio::runtime::Runtime,
    topics: TopicSet,
    specs: Vec<TopicSpec>,
}

impl Target {
    pub(super) fn new(config: &MeterConfig, clients: &KafkaClients) -> anyhow::Result<Self> {
        Ok(Self {
            admin: AdminClient::from_config_and_context(&clients.base(), LogContext)?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            topics: config.topic_set(),
            specs: TopicSpec::all(&config.topic_set(), config.topics.replication),
        })
    }

    /// Makes the topics that are missing, and changes nothing about those that are there.
    pub(super) fn make_missing(&self) -> anyhow::Result<()> {
        // Without a word about the clock: after an interruption some have it one way and some the other.
        let specs: Vec<TopicSpec> = self
            .specs
            .iter()
            .map(|spec| {
                let config = spec.config.iter().filter(|(key, _)| key != TIMESTAMP).cloned().collect();
                TopicSpec { config, ..spec.clone() }
            })
            .collect();
        Ok(self.runtime.block_on(ensure_topics(&self.admin, &specs))?)
    }

    /// Until [`close`](Self::close) records keep their times, by which the age of usage is judged; and a service that starts
    /// too early refuses such topics.
    pub(super) fn open(&self) -> anyhow::Result<()> {
        self.set_clocks(Clock::Record)
    }

    /// As the services want them.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        self.set_clocks(Clock::Append)?;
        Ok(self.runtime.block_on(ensure_topics(&self.admin, &self.specs))?)
    }

    /// That nothing was ever written to what is to be filled.
    pub(super) fn ensure_empty(&self, log: &Log) -> anyhow::Result<()> {
        for kept in &KEPT {
            let name = topic(&self.topics, kept.name);
            let partitions = if kept.is_keyed { self.topics.partitions } else { 1 };
            for span in log.spans(&name, partitions)? {
                let (partition, end) = (span.partition, span.to);
                ensure!(
                    end == 0,
                    "{name}/{partition} has had {end} records: restore into topics that are new, with another \
                     kafka.topic_prefix or after these were deleted"
                );
            }
        }
        Ok(())
    }

    fn set_clocks(&self, clock: Clock) -> anyhow::Result<()> {
        let by_broker = self.specs.iter().filter(|spec| spec.config.iter().any(|(key, _)| key == TIMESTAMP));
        for spec in by_broker {
            let what = || format!("cannot alter {}: it takes a user that may alter topics", spec.name);
            self.runtime.block_on(self.set_clock(&spec.name, clock)).with_context(what)?;
        }
        Ok(())
    }

    /// The request replaces all settings of a topic, so that those it has are sent along.
    async fn set_clock(&self, name: &str, clock: Clock) -> anyhow::Result<()> {
        let options = AdminOptions::new().request_timeout(Some(BROKER_WAIT)).operation_timeout(Some(BROKER_WAIT));
        let specifier = ResourceSpecifier::Topic(name);
        let mut settings = self.settings(name).await?;
        let wanted = if clock == Clock::Record { "CreateTime" } else { "LogAppendTime" };
        if settings.insert(TIMESTAMP.to_owned(), wanted.to_owned()).as_deref() == Some(wanted) {
            return Ok(());
        }
        let alter = settings.iter().fold(AlterConfig::new(specifier), |alter, (key, value)| alter.set(key, value));
        for altered in self.admin.alter_configs([&alter], &options).await? {
            altered.map_err(|(_, code)| anyhow::anyhow!("{code}"))?;
        }
        // The controller has it now; the brokers follow.
        let deadline = Instant::now() + BROKER_WAIT;
        while self.settings(name).await?.get(TIMESTAMP).map(String::as_str) != Some(wanted) {
            ensure!(Instant::now() < deadline, "the brokers do not take the new setting over");
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
        Ok(())
    }

    /// What a topic says otherwise than its broker.
    async fn settings(&self, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let options = AdminOptions::new().request_timeout(Some(BROKER_WAIT)).operation_timeout(Some(BROKER_WAIT));
        let mut settings = BTreeMap::new();
        for resource in self.admin.describe_configs([&ResourceSpecifier::Topic(name)], &options).await? {
            let entries = resource?.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
            settings.extend(entries.filter_map(|entry| Some((entry.name, entry.value?))));
        }
        Ok(settings)
    }
}
