//! `tollbooth-meter verify`: proves from outside that the books are right.
//!
//! Folds the ledger topic with code of its own, prices every charge again from the source records, compares ClickHouse
//! row by row and sum by sum, and holds a fleet's journal against all of it. Nothing of the crate that decides about
//! money is used here: what is wrong there must not be wrong here in the same way. See `docs/verify.md`.

mod alerts;
mod audit;
mod calendar;
mod commands;
mod counts;
mod dead;
mod digest;
mod facts;
mod fees;
mod fold;
mod journal;
mod journal_files;
mod journal_lines;
mod kinds;
mod ledger_row;
pub(crate) mod log;
mod models;
mod price;
mod purse;
mod recharge;
mod redrive;
mod report;
mod repricing;
mod rollups;
mod rows;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod wait;
mod waiting;

use std::{cmp::Ordering, path::PathBuf, time::Duration};

use tollbooth_chassis::kafka::KafkaClients;
use tollbooth_schemas::{
    dead_letter::header,
    time::DAY_MS,
    topics::{TopicSet, without_generation},
};

pub use audit::{Audit, AuditOptions, LogRecord, Source};
pub use journal::Told;
pub use ledger_row::LedgerRow;
pub use report::{Checked, CurrencyTotals, Defect, Example, Report, Unchecked};
pub use rollups::{Rollup, RollupRow};
pub use rows::BalanceRow;

use crate::config::MeterConfig;
use journal_files::JournalFiles;
use log::{Log, Span};
use wait::wait;

/// What `tollbooth-meter verify` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// A fleet's journal: a file, or a directory with `journal-*.jsonl`. May be given more than once.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub journal: Vec<PathBuf>,
    /// Others than the journals' fleets write to their accounts: what nobody planned is counted, and no defect.
    #[arg(long, requires = "journal")]
    pub journal_shared: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// How many seconds the meter may take to reach the ends of what is there, and then the sink.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,
    /// Leave ClickHouse out.
    #[arg(long)]
    pub no_clickhouse: bool,
    /// Examples printed of each defect.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub examples: usize,
}

impl Default for VerifyArgs {
    fn default() -> Self {
        Self { journal: Vec::new(), journal_shared: false, json: false, wait: 30, no_clickhouse: false, examples: 5 }
    }
}

impl Report {
    /// The report as `verify` prints it.
    #[must_use]
    pub fn render(&self, json: bool) -> String {
        if json { format!("{:#}\n", self.to_json()) } else { self.to_string() }
    }
}

/// Checks everything that the settings reach. Blocking; may take a minute for some millions of entries.
///
/// # Errors
/// When something cannot be read. Defects are no error: they are in the report.
pub fn run(config: &MeterConfig, args: VerifyArgs) -> anyhow::Result<Report> {
    // Before any end is taken: what is acknowledged up to here lies below the ends of the inputs.
    let journals = JournalFiles::find(args.journal)?;
    let mut run = Run {
        config,
        log: Log::new(KafkaClients::new(config.kafka.clone()))?,
        topics: config.topic_set(),
        audit: Audit::new(options(config, args.examples)),
        patience: Duration::from_secs(args.wait),
    };
    run.price_books()?;
    // Before the ledger's end is taken: what was consumed by then is decided below that end.
    let consumed = run.consumed()?;
    let ledger = run.ledger()?;
    run.dead_letters()?;
    for (source, committed) in consumed {
        run.input(source, &committed)?;
    }
    if !args.no_clickhouse {
        run.wait_for_sink()?;
        run.clickhouse()?;
    }
    if args.journal_shared {
        run.audit.journals_are_shared();
    }
    journals.read(&mut run.audit)?;
    run.tail(&ledger)?;
    Ok(run.audit.finish())
}

fn options(config: &MeterConfig, examples_max: usize) -> AuditOptions {
    AuditOptions {
        partitions: config.topics.partitions,
        input_generation: config.input_generation,
        age_max_ms: i64::from(config.age_limit_days) * DAY_MS,
        future_max_ms: i64::from(config.future_limit_minutes) * 60_000,
        retention_ms: i64::from(config.operation_retention_days) * DAY_MS,
        price_book_stale_ms: i64::try_from(config.price_book_stale_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX),
        examples_max,
    }
}

struct Run<'a> {
    config: &'a MeterConfig,
    log: Log,
    topics: TopicSet,
    audit: Audit,
    patience: Duration,
}

/// Next offsets of an input, by partition.
type Committed = Vec<Option<i64>>;

impl Run<'_> {
    fn name(&self, source: Source) -> String {
        match source {
            Source::Usage => self.topics.usage(),
            Source::Commands => self.topics.commands(),
        }
    }

    fn price_books(&mut self) -> anyhow::Result<()> {
        let topic = self.topics.price_book();
        let spans = self.log.spans(&topic, 1)?;
        let audit = &mut self.audit;
        self.log.read(&topic, &spans, |record| audit.price_book(record))
    }

    /// How far the meter is, once it has reached the ends that its inputs have now, or the time is up.
    fn consumed(&self) -> anyhow::Result<[(Source, Committed); 2]> {
        let partitions = self.topics.partitions;
        // Once: beside a fleet that goes on, ends that move with it would never be reached.
        let ends = |source| self.log.spans(&self.name(source), partitions);
        let ends = [ends(Source::Usage)?, ends(Source::Commands)?];
        let (consumed, is_there) = wait(self.patience, || {
            let mut behind = 0;
            let mut consumed = [(Source::Usage, Vec::new()), (Source::Commands, Vec::new())];
            for ((source, committed), ends) in consumed.iter_mut().zip(&ends) {
                *committed = self.log.committed(&self.config.group, &self.name(*source), partitions)?;
                for (span, next) in ends.iter().zip(committed.iter()) {
                    behind += (span.to - next.unwrap_or(span.from)).max(0);
                }
            }
            Ok((consumed, behind == 0))
        })?;
        if !is_there {
            tracing::warn!("the meter has not consumed all of its input");
        }
        Ok(consumed)
    }

    fn ledger(&mut self) -> anyhow::Result<Vec<Span>> {
        let topic = self.topics.ledger();
        let spans = self.log.spans(&topic, self.topics.partitions)?;
        let audit = &mut self.audit;
        self.log.read(&topic, &spans, |record| audit.ledger_record(record))?;
        Ok(spans)
    }

    fn dead_letters(&mut self) -> anyhow::Result<()> {
        let topic = self.topics.dead_letter();
        let spans = self.log.spans(&topic, 1)?;
        let (usage, commands) = (self.topics.usage(), self.topics.commands());
        let generation = self.config.input_generation;
        let audit = &mut self.audit;
        self.log.read(&topic, &spans, |record| {
            let named = record.header_text(header::SOURCE_TOPIC).map(without_generation);
            let named = named.map(|(name, of)| (name, of.cmp(&generation)));
            match named {
                Some((name, Ordering::Equal)) if name == usage => audit.dead_letter(record, Some(Source::Usage)),
                Some((name, Ordering::Equal)) if name == commands => audit.dead_letter(record, Some(Source::Commands)),
                Some((name, Ordering::Less)) if name == usage || name == commands => audit.earlier_dead_letter(record),
                _ => audit.dead_letter(record, None),
            }
        })
    }

    /// Reads an input from its beginning to its end. What lies behind the consumed part is counted as not consumed, and
    /// is where an acknowledged record may still be.
    fn input(&mut self, source: Source, committed: &[Option<i64>]) -> anyhow::Result<()> {
        let topic = self.name(source);
        let spans = self.log.spans(&topic, self.topics.partitions)?;
        for (span, next) in spans.iter().zip(committed) {
            self.audit.input(source, span.partition, span.from, next.unwrap_or(span.from));
        }
        let audit = &mut self.audit;
        self.log.read(&topic, &spans, |record| match source {
            Source::Usage => audit.usage_record(record),
            Source::Commands => audit.command_record(record),
        })
    }

    /// Waits until the sink has committed past the last ledger record that was read. As long as the meter had: the sink
    /// has what is left when the reading is over, however long that took.
    fn wait_for_sink(&self) -> anyhow::Result<()> {
        let topic = self.topics.ledger();
        let ((), is_there) = wait(self.patience, || {
            let committed = self.log.committed(&self.config.sink.offsets_group, &topic, self.topics.partitions)?;
            let is_behind = self.audit.ledger_ends().iter().any(|(partition, end)| {
                let index = usize::try_from(*partition).unwrap_or(usize::MAX);
                committed.get(index).copied().flatten().unwrap_or_default() < *end
            });
            Ok(((), !is_behind))
        })?;
        if !is_there {
            tracing::warn!("the sink has not reached the end of the ledger");
        }
        Ok(())
    }

    fn clickhouse(&mut self) -> anyhow::Result<()> {
        let section = &self.config.clickhouse;
        let audit = &mut self.audit;
        // On a thread of its own: whoever calls may be inside a runtime already.
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(store::read(section, audit))
            });
            reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// What was posted since the ledger's end was taken.
    fn tail(&mut self, read: &[Span]) -> anyhow::Result<()> {
        let topic = self.topics.ledger();
        let ends = self.log.spans(&topic, self.topics.partitions)?;
        let tail = read.iter().zip(&ends).map(|(read, end)| Span { from: read.to, to: end.to, ..*end });
        let tail: Vec<Span> = tail.collect();
        let audit = &mut self.audit;
        self.log.read(&topic, &tail, |record| audit.tail_record(record))
    }
}
