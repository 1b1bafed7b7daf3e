//! Real engines on one machine, for the whole stack and for every test that needs them.
//!
//! Blocking; nothing here needs an async runtime. Everything listens on 127.0.0.1 only. What is started here dies
//! with this process, also when that is killed with SIGKILL. The engines are fetched once into [`cache_dir`].
//!
//! ```no_run
//! use tollbooth_local::{ClickHouse, ClickHouseOptions, Engines, Kafka, KafkaOptions};
//!
//! # fn main() -> tollbooth_local::Result<()> {
//! // Both, side by side; KAFKA_BOOTSTRAP and CLICKHOUSE_URL point at running ones instead.
//! let engines = Engines::start("/tmp/some-folder")?;
//! let bootstrap: &str = engines.kafka.bootstrap(); // "127.0.0.1:21092"
//! let url: &str = engines.clickhouse.url(); // "http://127.0.0.1:28123"
//! let database: &str = &engines.database; // CLICKHOUSE_DATABASE or "tollbooth"; it exists
//!
//! // Or one by one, with options; all fields are public.
//! let kafka = Kafka::start(KafkaOptions { heap_mb: 512, ..KafkaOptions::new("/tmp/k") })?;
//! let clickhouse = ClickHouse::start(ClickHouseOptions::new("/tmp/c"))?;
//! clickhouse.create_database("tollbooth")?;
//! let text: String = clickhouse.query("SELECT 1")?;
//!
//! // Both have the same life cycle, through `&self`; ports and data are kept. Drop is SIGKILL.
//! kafka.kill()?; // SIGKILL, returns when it is gone
//! kafka.restart()?; // returns when it is ready again
//! kafka.stop()?; // SIGTERM, orderly
//! assert_eq!(kafka.pid(), None);
//! assert!(!kafka.is_running());
//! # Ok(())
//! # }
//! ```
//!
//! `engines.stop()?` stops both in order. `tollbooth-local engines --dir DIR` runs the pair by hand. A test finds the
//! launcher `tollbooth-clickhouse` in the target folder after `cargo build -p tollbooth-local`.
//!
//! [`free_port`] gives services in tests a port that stays free while they are down.

mod cache;
mod clickhouse;
mod engines;
mod error;
mod fetch;
mod http;
mod kafka;
mod ports;
mod process;
pub mod stack;
mod sys;

pub use cache::cache_dir;
pub use clickhouse::{ClickHouse, ClickHouseOptions};
pub use engines::Engines;
pub use error::{LocalError, Result, explain};
pub use fetch::{clickhouse_library, kafka_jars, maven_jars};
pub use kafka::{Kafka, KafkaOptions, java_program};
pub use ports::{claim_port, free_port, is_free};
pub use sys::die_with_parent;
