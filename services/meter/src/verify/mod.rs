//! `tollbooth-meter verify`: proves from outside that the books are right.
//!
//! Folds the ledger topic with code of its own, prices every charge again from the source records, compares ClickHouse
//! row by row and sum by sum, and holds a fleet's journal against all of it. Nothing of the crate that decides about
//! money is used here: what is wrong there must not be wrong here in the same way. See `docs/verify.md`.

mod audit;
mod commands;
mod digest;
mod facts;
mod fold;
mod journal;
mod log;
mod price;
mod report;
mod rows;
mod source;
mod store;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tollbooth_chassis::kafka::KafkaClients;
use tollbooth_schemas::{dead_letter::header, time::DAY_MS, topics::TopicSet};

pub use audit::{Audit, AuditOptions, LogRecord, Source};
pub use report::{Checked, CurrencyTotals, Defect, Example, Report, Unchecked};
pub use rows::{BalanceRow, LedgerRow, Rollup, RollupRow};

use crate::config::MeterConfig;
use log::{Log, Span};

const WAIT_POLL: Duration = Duration::from_millis(100);

/// What `tollbooth-meter verify` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// A fleet's journal: a file, or a directory with `journal-*.jsonl`. May be given more than once.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub journal: Vec<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// How many seconds the meter and the sink may take to reach the ends of what is there.
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
        Self { journal: Vec::new(), json: false, wait: 30, no_clickhouse: false, examples: 5 }
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
    let deadline = Instant::now() + Duration::from_secs(args.wait);
    let mut run = Run {
        config,
        log: Log::new(KafkaClients::new(config.kafka.clone()))?,
        topics: config.topic_set(),
        audit: Audit::new(options(config, args.examples)),
        deadline,
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
    for path in args.journal {
        run.journal(&path)?;
    }
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
        examples_max,
    }
}

struct Run<'a> {
    config: &'a MeterConfig,
    log: Log,
    topics: TopicSet,
    audit: Audit,
    deadline: Instant,
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

    /// How far the meter is, once it has reached the ends of its inputs or the time is up.
    fn consumed(&self) -> anyhow::Result<[(Source, Committed); 2]> {
        let partitions = self.topics.partitions;
        loop {
            let mut behind = 0;
            let mut consumed = [(Source::Usage, Vec::new()), (Source::Commands, Vec::new())];
            for (source, committed) in &mut consumed {
                let topic = self.name(*source);
                *committed = self.log.committed(&self.config.group, &topic, partitions)?;
                for (span, next) in self.log.spans(&topic, partitions)?.iter().zip(committed.iter()) {
                    behind += (span.to - next.unwrap_or(span.from)).max(0);
                }
            }
            if behind == 0 || Instant::now() >= self.deadline {
                if behind > 0 {
                    tracing::warn!(behind, "the meter has not consumed all of its input");
                }
                return Ok(consumed);
            }
            std::thread::sleep(WAIT_POLL);
        }
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
        let audit = &mut self.audit;
        self.log.read(&topic, &spans, |record| {
            let named = record.header_text(header::SOURCE_TOPIC);
            let source = match named {
                Some(name) if name == usage => Some(Source::Usage),
                Some(name) if name == commands => Some(Source::Commands),
                _ => None,
            };
            audit.dead_letter(record, source);
        })
    }

    /// Reads an input from its beginning up to where it was consumed, or as far as an entry names it.
    fn input(&mut self, source: Source, committed: &[Option<i64>]) -> anyhow::Result<()> {
        let topic = self.name(source);
        let mut spans = self.log.spans(&topic, self.topics.partitions)?;
        for (span, next) in spans.iter_mut().zip(committed) {
            let next = next.unwrap_or(span.from);
            self.audit.input(source, span.partition, span.from, next);
            // One more than was consumed may be of use, fewer not: the rest is counted as not consumed.
            span.to = span.to.min(next.max(self.audit.source_end(source, span.partition)));
        }
        let audit = &mut self.audit;
        self.log.read(&topic, &spans, |record| match source {
            Source::Usage => audit.usage_record(record),
            Source::Commands => audit.command_record(record),
        })
    }

    /// Waits until the sink has committed past the last ledger record that was read.
    fn wait_for_sink(&self) -> anyhow::Result<()> {
        let topic = self.topics.ledger();
        loop {
            let committed = self.log.committed(&self.config.sink.offsets_group, &topic, self.topics.partitions)?;
            let is_behind = self.audit.ledger_ends().iter().any(|(partition, end)| {
                let index = usize::try_from(*partition).unwrap_or(usize::MAX);
                committed.get(index).copied().flatten().unwrap_or_default() < *end
            });
            if !is_behind {
                return Ok(());
            }
            if Instant::now() >= self.deadline {
                tracing::warn!("the sink has not reached the end of the ledger");
                return Ok(());
            }
            std::thread::sleep(WAIT_POLL);
        }
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

    fn journal(&mut self, path: &Path) -> anyhow::Result<()> {
        for file in journal_files(path)? {
            let context = || format!("cannot read the journal {}", file.display());
            let mut lines = BufReader::with_capacity(1 << 20, File::open(&file).with_context(context)?);
            let (mut line, mut number) = (Vec::new(), 0_u64);
            while lines.read_until(b'\n', &mut line).with_context(context)? > 0 {
                number += 1;
                if line.last() == Some(&b'\n') {
                    let told = self.audit.journal_line(&line);
                    told.with_context(|| format!("{}:{number} is no line of a journal", file.display()))?;
                } else {
                    self.audit.journal_line_torn();
                }
                line.clear();
            }
        }
        Ok(())
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

/// A journal's files, in order.
fn journal_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("cannot read the journal {}", path.display());
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(context)? {
        let file = entry.with_context(context)?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("journal-") && name.ends_with(".jsonl") {
            files.push(file);
        }
    }
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{} holds no journal-*.jsonl", path.display());
    Ok(files)
}
