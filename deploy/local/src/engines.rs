//! Both engines together.

use std::env;
use std::path::Path;
use std::thread;

use crate::clickhouse::{ClickHouse, ClickHouseOptions};
use crate::error::{LocalError, Result};
use crate::kafka::{Kafka, KafkaOptions};

/// A Kafka and a ClickHouse.
#[derive(Debug)]
pub struct Engines {
    /// The log.
    pub kafka: Kafka,
    /// The projection.
    pub clickhouse: ClickHouse,
    /// The database to use: `CLICKHOUSE_DATABASE`, else `tollbooth`. It exists.
    pub database: String,
}

impl Engines {
    /// Starts both side by side with their data in `dir/kafka` and `dir/clickhouse`. Where `KAFKA_BOOTSTRAP` or
    /// `CLICKHOUSE_URL` is set, that one is used as it is and not started.
    pub fn start(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        Self::start_with(KafkaOptions::new(dir.join("kafka")), ClickHouseOptions::new(dir.join("clickhouse")))
    }

    /// Like [`Engines::start`], with options.
    pub fn start_with(kafka: KafkaOptions, clickhouse: ClickHouseOptions) -> Result<Self> {
        let (kafka, clickhouse) = thread::scope(|scope| {
            let kafka = scope.spawn(|| match Self::external_kafka() {
                Some(bootstrap) => Ok(Kafka::external(bootstrap)),
                None => Kafka::start(kafka),
            });
            let clickhouse = match Self::external_clickhouse() {
                Some(url) => Ok(ClickHouse::external(url)),
                None => ClickHouse::start(clickhouse),
            };
            let kafka = kafka.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (kafka, clickhouse)
        });
        let engines = Self {
            kafka: kafka?,
            clickhouse: clickhouse?,
            database: set("CLICKHOUSE_DATABASE").unwrap_or_else(|| "tollbooth".to_owned()),
        };
        engines.clickhouse.create_database(&engines.database)?;
        Ok(engines)
    }

    /// The cluster that `KAFKA_BOOTSTRAP` points at; none is started then.
    pub fn external_kafka() -> Option<String> {
        set("KAFKA_BOOTSTRAP")
    }

    /// The server that `CLICKHOUSE_URL` points at; none is started then.
    pub fn external_clickhouse() -> Option<String> {
        set("CLICKHOUSE_URL")
    }

    /// Stops both in order; one that was given from outside is left alone.
    pub fn stop(&self) -> Result<()> {
        let ours = |stopped| match stopped {
            Err(LocalError::External { .. }) => Ok(()),
            other => other,
        };
        ours(self.kafka.stop())?;
        ours(self.clickhouse.stop())
    }
}

fn set(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}
