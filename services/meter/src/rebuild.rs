//! ClickHouse from the ledger, from nothing: `tollbooth-meter rebuild`.
//!
//! Fills a database of its own from offset 0 while the one in use goes on, with a group and a lease of its own, and ends
//! when it has all that was in the ledger when it began. It is the sink's own path: the same blocks, under the same kind of
//! token, with the same checks. Interrupted, it goes on where it was.

use std::{
    fmt,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tollbooth_chassis::{kafka::KafkaClients, ops::Health, shutdown::Shutdown, telemetry};
use tollbooth_schemas::topics::{SINK_LEASE_GROUP, SINK_OFFSETS_GROUP};

use crate::{
    config::MeterConfig,
    sink::{self, SinkConfig, SinkError, SinkOptions, store::Store},
    verify::log::{Log, Span},
};

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Offsets at the end of a partition among which its last record is looked for first.
const TAIL_MIN: i64 = 100;

/// Nobody waits for a row, and a full block costs the least; the last one is hardly ever full.
const BLOCK_INTERVAL_MS: u64 = 3_000;
const BLOCK_ROWS: u32 = 400_000;
/// Of a row in a body; where rows take more, a block has fewer.
const ROW_BYTES: usize = 400;

/// What `tollbooth-meter rebuild` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct RebuildArgs {
    /// Database to fill: new, or of a rebuild that was interrupted.
    #[arg(long, value_name = "NAME")]
    pub database: String,
    /// Most rows of a block, up to 1,000,000: the more, the less a row costs, and about a kilobyte of memory for each, here
    /// and in ClickHouse.
    #[arg(long, value_name = "ROWS", default_value_t = BLOCK_ROWS, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    pub block_rows: u32,
}

/// What was filled.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// Database.
    pub database: String,
    /// Group with its offsets.
    pub offsets_group: String,
    /// Group of its lease.
    pub lease_group: String,
    /// Rows of this run.
    pub rows: u64,
    /// Of this run.
    pub elapsed: Duration,
}

impl Rebuilt {
    /// Entries a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // For people.
    pub fn rate(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64().max(0.001)
    }
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, offsets_group, lease_group, rows, elapsed } = self;
        let seconds = elapsed.as_secs_f64();
        writeln!(f, "database {database} has the ledger: {rows} rows in {seconds:.1} s, {:.0} a second.", self.rate())?;
        writeln!(f, "To switch, set these and restart sinks, then query and ingest:")?;
        writeln!(f, "  CLICKHOUSE_DATABASE={database}  # sinks, verify, query, ingest")?;
        writeln!(f, "  TOLLBOOTH_METER__SINK__OFFSETS_GROUP={offsets_group}  # sinks, verify")?;
        writeln!(f, "  TOLLBOOTH_METER__SINK__LEASE_GROUP={lease_group}  # sinks")?;
        writeln!(f, "  TOLLBOOTH_QUERY__LIVE__OFFSETS_GROUP={offsets_group}  # query")
    }
}

/// The settings of a sink that fills another database beside the one in use.
fn options(config: &MeterConfig, args: &RebuildArgs) -> anyhow::Result<SinkOptions> {
    let database = &args.database;
    ensure!(*database != config.clickhouse.database, "{database} is in use: name another database");
    let block_rows_max = usize::try_from(args.block_rows)?;
    let sink = SinkConfig {
        offsets_group: format!("{SINK_OFFSETS_GROUP}-{database}"),
        lease_group: format!("{SINK_LEASE_GROUP}-{database}"),
        // Nobody looks at it yet.
        drift_interval_ms: 0,
        is_filling: true,
        block_interval_ms: BLOCK_INTERVAL_MS,
        block_interval_busy_ms: BLOCK_INTERVAL_MS,
        block_rows_max,
        block_bytes_max: block_rows_max * ROW_BYTES,
        // The next block is made while one is inserted, and what is of another month waits.
        read_ahead_bytes_max: block_rows_max * ROW_BYTES * 5 / 2,
        ..config.sink.clone()
    };
    let mut clickhouse = config.clickhouse.clone();
    database.clone_into(&mut clickhouse.database);
    let instance_id = format!("{}-rebuild", config.member_id);
    Ok(SinkOptions { sink, kafka: config.kafka.clone(), clickhouse, instance_id })
}

/// Fills the database. Blocks; call it outside a runtime.
///
/// # Errors
/// Where the sink stops: the database is of another ledger, or an engine refuses.
pub fn run(config: &MeterConfig, args: &RebuildArgs) -> anyhow::Result<Rebuilt> {
    let (options, began) = (options(config, args)?, Instant::now());
    let log = Log::new(KafkaClients::new(config.kafka.clone()))?;
    let topic = config.topic_set().ledger();
    let spans = log.spans(&topic, config.topics.partitions)?;
    let ends: Vec<Span> =
        spans.into_iter().map(|span| to_last_record(&log, &topic, span)).collect::<anyhow::Result<_>>()?;
    let registry = telemetry::registry("sink", env!("CARGO_PKG_VERSION"))?;
    let (health, shutdown) = (Health::new(), Shutdown::new());
    let filling = std::thread::Builder::new().name("sink".to_owned()).spawn({
        let (options, registry, shutdown) = (options.clone(), registry.clone(), shutdown.clone());
        move || sink::run(&options, &registry, &health, &shutdown)
    })?;
    let is_active = || summed(&registry, "tollbooth_sink_active") > 0;
    let outcome = wait_filled(&log, &topic, &options.sink.offsets_group, &ends, &filling, is_active);
    let elapsed = began.elapsed();
    shutdown.trigger("filled");
    let ended = filling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    ended.context("the sink has stopped")?;
    outcome?;
    let store = Store::new(&options.clickhouse, &options.sink);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(store.set_filling(false))?;
    Ok(Rebuilt {
        database: args.database.clone(),
        offsets_group: options.sink.offsets_group,
        lease_group: options.sink.lease_group,
        rows: summed(&registry, "tollbooth_sink_rows_inserted_total"),
        elapsed,
    })
}

/// From the first offset to the end of the last record: behind it there may be markers, up to which nobody commits.
///
/// Found once, and by a short read of each partition's tail.
fn to_last_record(log: &Log, topic: &str, span: Span) -> anyhow::Result<Span> {
    let mut offsets = TAIL_MIN;
    loop {
        let (from, mut to) = ((span.to - offsets).max(span.from), span.from);
        log.read(topic, &[Span { from, ..span }], |record| to = to.max(record.offset + 1))?;
        if to > span.from || from == span.from {
            return Ok(Span { to, ..span });
        }
        offsets = offsets.saturating_mul(10);
    }
}

fn wait_filled(
    log: &Log,
    topic: &str,
    group: &str,
    ends: &[Span],
    filling: &JoinHandle<Result<(), SinkError>>,
    is_active: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let partitions = i32::try_from(ends.len())?;
    let reader = log.group(group)?;
    let mut told = Instant::now();
    loop {
        if filling.is_finished() {
            bail!("it ended before it had all");
        }
        reader.attend();
        // Only then are the offsets those of this database: of one of the same name that was dropped they may be at the end.
        let is_active = is_active();
        let committed = log.committed_by(&reader, group, topic, partitions)?;
        let left =
            ends.iter().zip(committed).map(|(end, next)| end.to - next.unwrap_or(end.from).clamp(end.from, end.to));
        let left: i64 = left.sum();
        if left == 0 && is_active {
            return Ok(());
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            tracing::info!(left, "offsets of the ledger to go");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Of a counter or a gauge, over all its labels.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A count.
fn summed(registry: &prometheus::Registry, name: &str) -> u64 {
    let families = registry.gather();
    let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
    let values = metrics.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value());
    values.sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_in_use_is_not_filled_again_and_another_one_has_groups_of_its_own() {
        let config = MeterConfig::default();
        let args = |database: &str| RebuildArgs { database: database.to_owned(), block_rows: BLOCK_ROWS };
        assert!(options(&config, &args("tollbooth")).is_err());
        let options = options(&config, &args("second")).unwrap();
        assert_eq!(options.clickhouse.database, "second");
        assert_eq!(options.sink.offsets_group, "ledger-sink-second");
        assert_eq!(options.sink.transactional_id("t.ledger"), "t.ledger-sink-ledger-sink-second");
    }

    #[test]
    fn who_switches_is_told_every_setting_and_every_process_that_takes_it() {
        let rebuilt = Rebuilt {
            database: "second".to_owned(),
            offsets_group: "ledger-sink-second".to_owned(),
            lease_group: "tollbooth-sink-second".to_owned(),
            rows: 3_000,
            elapsed: Duration::from_secs(2),
        };
        let told = rebuilt.to_string();
        assert!(told.starts_with("database second has the ledger: 3000 rows in 2.0 s, 1500 a second.\n"), "{told}");
        // Ingest looks charges up there: with the old name it would ask a database that nobody fills any more.
        assert!(told.contains("CLICKHOUSE_DATABASE=second  # sinks, verify, query, ingest\n"), "{told}");
        assert!(told.contains("TOLLBOOTH_METER__SINK__OFFSETS_GROUP=ledger-sink-second  # sinks, verify\n"), "{told}");
        assert!(told.contains("TOLLBOOTH_METER__SINK__LEASE_GROUP=tollbooth-sink-second  # sinks\n"), "{told}");
        assert!(told.ends_with("TOLLBOOTH_QUERY__LIVE__OFFSETS_GROUP=ledger-sink-second  # query\n"), "{told}");
    }
}
