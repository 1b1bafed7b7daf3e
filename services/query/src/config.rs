//! Settings of `tollbooth-query`, all with defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::KEYS_AGE_MAX;
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection, Secret, ServiceConfig, Shared, TracesSection};
use tollbooth_chassis::http::HttpLimits;
use tollbooth_chassis::seal::SECRET_BYTES_MIN;
use tollbooth_schemas::sessions::SESSION_LIFE_MS_MAX;
use tollbooth_schemas::topics::SINK_OFFSETS_GROUP;

/// The configuration; variables begin with `TOLLBOOTH_QUERY__`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Address of the API. Default `127.0.0.1:8081`.
    pub listen: SocketAddr,
    /// Address of `/metrics`, `/livez`, `/readyz`. Default `127.0.0.1:9112`.
    pub ops_listen: SocketAddr,
    /// How long ago the registry may have been read to its end for its keys to be taken; then 503, except for the
    /// configured one: a key that is still known may have been revoked. As long ago may sign-outs have been read to their
    /// end for sessions to be taken, that of the configured key included. Default 300,000.
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
    /// How many requests a key may send.
    pub rate: RateSection,
    /// Answers that are kept.
    pub answers: AnswersSection,
    /// Who signed in with a browser.
    pub session: SessionSection,
    /// What such a browser changes.
    pub forward: ForwardSection,
    /// The pages.
    pub dashboard: DashboardSection,
    /// Traces of requests.
    pub traces: TracesSection,
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
            rate: RateSection::default(),
            answers: AnswersSection::default(),
            session: SessionSection::default(),
            forward: ForwardSection::default(),
            dashboard: DashboardSection::default(),
            traces: TracesSection::default(),
        }
    }
}

impl ServiceConfig for QueryConfig {
    const SERVICE: &'static str = "query";
    const SHARED: &'static [Shared] = &[Shared::Kafka, Shared::ClickHouse, Shared::AdminKey, Shared::ForwardSecret];
}

/// `[live]`: balances and the newest entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LiveSection {
    /// Bytes of newest entries kept, all accounts together; beyond it the oldest go. Sums that are kept are carried forward by
    /// them. Default 256 MiB.
    pub recent_bytes_max: usize,
    /// Newest entries kept of one account, rounded up to whole ledger records. Default 5,000.
    pub recent_entries_per_account_max: u64,
    /// How long the broker may hold a fetch while there is nothing new; new entries never wait for it. Default 20.
    pub fetch_wait_ms: u32,
    /// How often the end of every partition is asked for: the grain of `as_of`. Default 500.
    pub confirm_interval_ms: u64,
    /// How long a read with `min_seq` waits for that entry, in memory and where the answer needs it in ClickHouse; then
    /// 503. As long does a file that is exported wait for history that is further behind than memory reaches, before it
    /// breaks off. Default 5,000: where thousands of events a second come, a row is in ClickHouse after two to three seconds.
    pub min_seq_wait_ms: u64,
    /// Group under which the sink of this database commits its offsets, its `sink.offsets_group`. Default `ledger-sink`.
    pub offsets_group: String,
}

impl Default for LiveSection {
    fn default() -> Self {
        Self {
            recent_bytes_max: 256 * 1024 * 1024,
            recent_entries_per_account_max: 5_000,
            fetch_wait_ms: 20,
            confirm_interval_ms: 500,
            min_seq_wait_ms: 5_000,
            offsets_group: SINK_OFFSETS_GROUP.to_owned(),
        }
    }
}

/// `[store]`: queries to ClickHouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// Queries under way at once; beyond it requests wait. Default 16.
    pub concurrent_max: usize,
    /// How long a request waits for its turn; then 503. Default 2,000.
    pub queue_wait_ms: u64,
    /// Accounts whose sums or newest entries are asked for in one question, where many ask for the same at once. 1: each alone.
    /// Default 16.
    pub together_max: usize,
    /// Such questions under way at once, of sums and of entries each, those about a single account among them; beyond it they
    /// wait, and go together with others. Default 6.
    pub together_concurrent_max: usize,
    /// Longest run of the queries of one request, all together; then 400, ask for less, or 503, come back, where the request
    /// had to wait for a place among them or every place is taken. Default 10.
    pub execution_time_s_max: u64,
    /// Most rows that the sums of one request may read, all together; then 400, ask for less. Default 200 million.
    pub rows_to_read_max: u64,
    /// Most memory of one query; then 400, ask for less. Default 1 GiB.
    pub memory_bytes_max: u64,
    /// Threads of one query. Default 2.
    pub threads_max: u64,
    /// How long the start waits for the next 4,096 balances before it begins anew. Default 60,000.
    pub stream_wait_ms: u64,
    /// Bytes of pages of transactions that are kept for whoever asks the same again: an entry never changes. Beyond it
    /// those go that are asked for least. 0: none is kept. Default 128 MiB.
    pub pages_bytes_max: u64,
    /// Entries of an account up to which a search looks into the text of every one, parts of operation ids included. Of one
    /// with more, names are searched as before, and operations by their whole ids. Default 100,000.
    pub searched_entries_max: u64,
    /// Bytes of names (services, engines, events, booths) that are kept of large accounts for the next search. 0: none is
    /// kept. Default 16 MiB.
    pub names_bytes_max: u64,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            concurrent_max: 16,
            queue_wait_ms: 2_000,
            together_max: 16,
            together_concurrent_max: 6,
            execution_time_s_max: 10,
            rows_to_read_max: 200_000_000,
            memory_bytes_max: 1024 * 1024 * 1024,
            threads_max: 2,
            stream_wait_ms: 60_000,
            pages_bytes_max: 128 * 1024 * 1024,
            searched_entries_max: 100_000,
            names_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// `[stream]`: server-sent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamSection {
    /// Open streams; then 503. They are connections, see `http.connections_max`. Default 10,000.
    pub connections_max: usize,
    /// Open streams of one account, half of which portal tokens may open; then 429. Default 200.
    pub per_account_max: usize,
    /// Entries that a client may be behind and still be brought up to date one by one; then `resync`. Default 5,000.
    pub resume_entries_max: u64,
    /// How long nothing may be sent before a comment is, and how often the key is checked again. The dashboard takes 35 s of
    /// silence for a dead connection and begins anew. Default 15,000.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// `[rate]`: requests of one key, those of its sessions included; its portal tokens have as many of their own. Each process
/// counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateSection {
    /// Requests a second, for as long as it likes; beyond it 429. 0: they are not counted. Default 500.
    pub requests_per_second: u32,
    /// Requests at once, for who was quiet before. Default 1,000.
    pub burst: u32,
}

impl Default for RateSection {
    fn default() -> Self {
        Self { requests_per_second: 500, burst: 1_000 }
    }
}

/// `[answers]`: sums that were asked of ClickHouse are kept for whoever asks the same again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnswersSection {
    /// How long sums are carried forward by the account's newer entries before ClickHouse is asked anew. 0: they are not;
    /// where several ClickHouse servers stand behind one address, for what one of them has says nothing of another.
    /// Default 3,600.
    pub carried_s_max: u64,
    /// How long the text of an answer may be given again while the account has no newer entry. Default 10,000.
    pub age_ms_max: u64,
    /// How long whatever happens, where it is not known up to which entry its sums go. Default 500.
    pub fresh_ms: u64,
    /// How long the sums of all accounts are given again as they are, whatever happens in between; an answer ends with its
    /// quarter of an hour. 0: each request asks ClickHouse. Default 10,000.
    pub fleet_fresh_ms: u64,
    /// Bytes of all of them, sums and texts; beyond it the oldest go. 0: none is kept. Default 128 MiB.
    pub bytes_max: usize,
    /// Bytes of the lists of events and booths that are kept, of at most 2,000 of each an account; beyond it the oldest go.
    /// 0: none is kept. Default 32 MiB.
    pub parties_bytes_max: u64,
    /// Bytes of cubes: all sums of an account or event, by quarter of an hour, of which any question about it is answered.
    /// Beyond it the oldest go. 0: none is kept. Default 256 MiB.
    pub cubes_bytes_max: u64,
    /// Accounts whose cube and newest page are read after the start, before anybody asks: those with the most entries, until
    /// three quarters of `cubes_bytes_max` are full. 0: none. Default 10,000.
    pub ahead_accounts_max: usize,
    /// Most rows of a rollup that are read for a cube; where there are more each question is asked. Default 8,192.
    pub cube_rows_max: usize,
}

impl Default for AnswersSection {
    fn default() -> Self {
        Self {
            carried_s_max: 3_600,
            age_ms_max: 10_000,
            fresh_ms: 500,
            fleet_fresh_ms: 10_000,
            bytes_max: 128 * 1024 * 1024,
            parties_bytes_max: 32 * 1024 * 1024,
            cubes_bytes_max: 256 * 1024 * 1024,
            ahead_accounts_max: 10_000,
            cube_rows_max: 8_192,
        }
    }
}

/// `[session]`: who signed in with a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSection {
    /// What sessions and portal tokens are signed with, at least 32 characters of chance, the same in every process.
    /// Default empty: made at the start, so that they end with the process.
    pub secret: Secret,
    /// How long a session lasts, 30 days at most: sign-outs are kept so long. Default 43,200 (12 hours).
    pub life_s: u64,
    /// Whether browsers send the cookie over https alone. Default true; false for plain http on one machine.
    pub secure: bool,
    /// Failed tries to sign in of one address in a minute; a further one is 429. A right key is taken in any case. Default 10.
    pub failures_per_minute_max: usize,
    /// Longest life of a portal token. Default 86,400 (24 hours).
    pub portal_life_s_max: u64,
}

impl Default for SessionSection {
    fn default() -> Self {
        Self {
            secret: Secret::default(),
            life_s: 12 * 3_600,
            secure: true,
            failures_per_minute_max: 10,
            portal_life_s_max: 24 * 3_600,
        }
    }
}

/// `[forward]`: commands of who signed in are passed on to ingest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardSection {
    /// What is signed with, as ingest has it; shared variable `TOLLBOOTH_FORWARD_SECRET`. Default empty: commands are
    /// answered with 501.
    pub secret: Secret,
    /// Where ingest is. Default `http://127.0.0.1:8080`.
    pub ingest_url: String,
    /// How long its answer is waited for; then 504. Below `http.request_timeout_ms`. Default 27,000.
    pub timeout_ms: u64,
    /// Largest body; then 413. Default 1 MiB.
    pub body_bytes_max: usize,
    /// Largest answer; then 502. Default 4 MiB.
    pub answer_bytes_max: usize,
    /// Under way at once; then 503. Default 256.
    pub concurrent_max: usize,
}

impl Default for ForwardSection {
    fn default() -> Self {
        Self {
            secret: Secret::default(),
            ingest_url: "http://127.0.0.1:8080".to_owned(),
            timeout_ms: 27_000,
            body_bytes_max: 1024 * 1024,
            answer_bytes_max: 4 * 1024 * 1024,
            concurrent_max: 256,
        }
    }
}

/// `[dashboard]`: the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardSection {
    /// Where they were built. Default `services/query/web/dist`, below the working directory.
    pub dir: PathBuf,
    /// Sites that may show the pages below `/embed/` in a frame, as `frame-ancestors` of a content security policy takes
    /// them. Default none.
    pub embed_ancestors: Vec<String>,
}

impl Default for DashboardSection {
    fn default() -> Self {
        Self { dir: PathBuf::from("services/query/web/dist"), embed_ancestors: Vec::new() }
    }
}

/// A setting that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SettingError {
    /// Dotted path.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

impl QueryConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first setting that cannot be kept.
    pub fn check(&self) -> Result<(), SettingError> {
        let fail = |key, reason: &str| Err(SettingError { key, reason: reason.to_owned() });
        for (key, secret) in [("session.secret", &self.session.secret), ("forward.secret", &self.forward.secret)] {
            if !secret.is_empty() && secret.expose().len() < SECRET_BYTES_MIN {
                return fail(key, "must have at least 32 characters, of chance");
            }
        }
        if self.forward.timeout_ms >= self.http.request_timeout_ms {
            return fail("forward.timeout_ms", "must be below http.request_timeout_ms, or browsers hear less of it");
        }
        if self.session.life_s == 0 || self.session.failures_per_minute_max == 0 {
            return fail("session", "life_s and failures_per_minute_max must be 1 or more, or nobody can sign in");
        }
        let life_ms = i64::try_from(self.session.life_s).unwrap_or(i64::MAX).saturating_mul(1_000);
        if life_ms > SESSION_LIFE_MS_MAX {
            return fail("session.life_s", "must be 2,592,000 (30 days) or less: sign-outs are not kept longer");
        }
        let is_source = |text: &String| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b";,".contains(&byte))
        };
        if !self.dashboard.embed_ancestors.iter().all(is_source) {
            return fail("dashboard.embed_ancestors", "must be sources such as https://example.com");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_chassis::config::reference;

    use super::*;

    #[test]
    fn the_reference_is_what_the_code_says() {
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let rows = reference::section(&QueryConfig::default()).unwrap();
        reference::keep(&document, "query", &rows).unwrap();
    }

    #[test]
    fn the_defaults_can_be_kept_and_what_cannot_is_named() {
        assert_eq!(QueryConfig::default().check(), Ok(()));
        let wrong = |adjust: fn(&mut QueryConfig)| {
            let mut config = QueryConfig::default();
            adjust(&mut config);
            config.check().map_err(|error| error.key)
        };
        assert_eq!(wrong(|config| config.session.secret = Secret::new("short")), Err("session.secret"));
        assert_eq!(wrong(|config| config.forward.secret = Secret::new("short")), Err("forward.secret"));
        assert_eq!(wrong(|config| config.forward.timeout_ms = 30_000), Err("forward.timeout_ms"));
        assert_eq!(wrong(|config| config.session.life_s = 0), Err("session"));
        assert_eq!(wrong(|config| config.session.life_s = 30 * 86_400), Ok(()));
        assert_eq!(wrong(|config| config.session.life_s = 30 * 86_400 + 1), Err("session.life_s"));
        let two_policies = |config: &mut QueryConfig| {
            config.dashboard.embed_ancestors = vec!["https://a.example; script-src *".to_owned()];
        };
        assert_eq!(wrong(two_policies), Err("dashboard.embed_ancestors"));
    }
}
