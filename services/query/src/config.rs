//! Settings of `tollbooth-query`, all with defaults.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::KEYS_AGE_MAX;
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection, Secret, ServiceConfig, Shared};
use tollbooth_chassis::http::HttpLimits;
use tollbooth_schemas::topics::SINK_OFFSETS_GROUP;

/// The configuration; variables begin with `TOLLBOOTH_QUERY__`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Address of the API. Default `127.0.0.1:8081`.
    pub listen: SocketAddr,
    /// Address of `/metrics`, `/livez`, `/readyz`. Default `127.0.0.1:9112`.
    pub ops_listen: SocketAddr,
    /// How long ago the registry may have been read to its end for its keys to be taken; then 503, except for the
    /// configured one: a key that is still known may have been revoked. Default 300,000.
    pub registry_age_max_ms: u64,
    /// The first admin key, as ingest has it; empty: only keys of the registry. Shared variable `TOLLBOOTH_ADMIN_KEY`.
    pub admin_key: Secret,
    /// Where the log is.
    pub kafka: KafkaSection,
    /// Where the projection is.
    pub clickhouse: ClickHouseSection,
    /// Bounds of the API's listener.
    pub http: HttpLimits,
    /// The view in memory.
    pub live: LiveSection,
    /// Bounds of what is asked of ClickHouse.
    pub store: StoreSection,
    /// Server-sent events.
    pub stream: StreamSection,
    /// Bounds of answers.
    pub limits: LimitsSection,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 9112)),
            registry_age_max_ms: KEYS_AGE_MAX.as_secs() * 1_000,
            admin_key: Secret::default(),
            kafka: KafkaSection { client_id: "tollbooth-query".to_owned(), ..KafkaSection::default() },
            clickhouse: ClickHouseSection::default(),
            // Every stream is a connection; the rest is for requests.
            http: HttpLimits { connections_max: 12_000, ..HttpLimits::default() },
            live: LiveSection::default(),
            store: StoreSection::default(),
            stream: StreamSection::default(),
            limits: LimitsSection::default(),
        }
    }
}

impl ServiceConfig for QueryConfig {
    const SERVICE: &'static str = "query";
    const SHARED: &'static [Shared] = &[Shared::Kafka, Shared::ClickHouse, Shared::AdminKey];
}

/// `[live]`: balances and the newest entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveSection {
    /// Bytes of newest entries kept, all accounts together; beyond it the oldest go. Default 64 MiB.
    pub recent_bytes_max: usize,
    /// Newest entries kept of one account, rounded up to whole ledger records. Default 5,000.
    pub recent_entries_per_account_max: u64,
    /// How long the broker may hold a fetch while there is nothing new; new entries never wait for it. Default 20.
    pub fetch_wait_ms: u32,
    /// How often the end of every partition is asked for: the grain of `as_of`. Default 500.
    pub confirm_interval_ms: u64,
    /// How long a read with `min_seq` waits for that entry, in memory and where the answer needs it in ClickHouse; then
    /// 503. Default 2,000.
    pub min_seq_wait_ms: u64,
    /// Group under which the sink of this database commits its offsets, its `sink.offsets_group`. Default `ledger-sink`.
    pub offsets_group: String,
}

impl Default for LiveSection {
    fn default() -> Self {
        Self {
            recent_bytes_max: 64 * 1024 * 1024,
            recent_entries_per_account_max: 5_000,
            fetch_wait_ms: 20,
            confirm_interval_ms: 500,
            min_seq_wait_ms: 2_000,
            offsets_group: SINK_OFFSETS_GROUP.to_owned(),
        }
    }
}

/// `[store]`: queries to ClickHouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// Queries under way at once; beyond it requests wait. Default 16.
    pub concurrent_max: usize,
    /// How long a request waits for its turn; then 503. Default 2,000.
    pub queue_wait_ms: u64,
    /// Longest run of one query; then 400, ask for less. Default 10.
    pub execution_time_s_max: u64,
    /// Most rows one query may read; then 400, ask for less. Default 200 million.
    pub rows_to_read_max: u64,
    /// Most memory of one query; then 400, ask for less. Default 1 GiB.
    pub memory_bytes_max: u64,
    /// Threads of one query. Default 2.
    pub threads_max: u64,
    /// How long the start waits for the next 4,096 balances before it begins anew. Default 60,000.
    pub stream_wait_ms: u64,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            concurrent_max: 16,
            queue_wait_ms: 2_000,
            execution_time_s_max: 10,
            rows_to_read_max: 200_000_000,
            memory_bytes_max: 1024 * 1024 * 1024,
            threads_max: 2,
            stream_wait_ms: 60_000,
        }
    }
}

/// `[stream]`: server-sent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamSection {
    /// Open streams; then 503. They are connections, see `http.connections_max`. Default 10,000.
    pub connections_max: usize,
    /// Open streams of one account; then 429. Default 200.
    pub per_account_max: usize,
    /// Entries that a client may be behind and still be brought up to date one by one; then `resync`. Default 5,000.
    pub resume_entries_max: u64,
    /// How long nothing may be sent before a comment is, and how often the key is checked again. Default 15,000.
    pub heartbeat_ms: u64,
    /// Time between two balances of a stream. Default 250.
    pub balance_interval_ms: u64,
    /// Time between two sums of a stream. Default 1,000.
    pub usage_interval_ms: u64,
}

impl Default for StreamSection {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            per_account_max: 200,
            resume_entries_max: 5_000,
            heartbeat_ms: 15_000,
            balance_interval_ms: 250,
            usage_interval_ms: 1_000,
        }
    }
}

/// `[limits]`: answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// Most buckets of a timeline; then 400. Default 2,000.
    pub buckets_max: usize,
    /// Most groups of a timeline, all buckets together; then 400. Default 50,000.
    pub groups_max: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self { buckets_max: 2_000, groups_max: 50_000 }
    }
}
