//! The published figures, one command: `make bench`.
//!
//! Everything runs on this machine: real engines, release builds of the services, and the load itself share its cores.
//! A figure is written only when the run it comes from was verified.

mod copy;
mod debits;
mod feed;
mod freshness;
mod ingest;
mod load;
mod path;
mod report;
mod stack;

use anyhow::Context as _;
use clap::Parser;

use report::Report;
use stack::Bench;

#[derive(Parser)]
#[command(about = "Measures tollbooth on this machine and writes bench/results.json.")]
struct Cli {
    /// Only these groups: copy, debits, ingest, path, freshness. Default: all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Usage records of a drained backlog.
    #[arg(long, default_value_t = 2_000_000)]
    backlog: usize,
    /// Runs of each figure that is repeated.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds of each open-loop load.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the results go.
    #[arg(long, default_value = "bench/results.json")]
    out: std::path::PathBuf,
    /// Keeps the engines' data here instead of a temporary folder.
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let wanted = |group: &str| cli.only.is_empty() || cli.only.iter().any(|only| only == group);
    let temporary = tempfile::Builder::new().prefix("tollbooth-bench-").tempdir()?;
    let dir = cli.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let bench = Bench::start(&dir).context("engines")?;
    let mut report = Report::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if wanted("debits") || wanted("copy") {
        debits::run(&bench, &mut report, cli.backlog, cli.runs, wanted("debits"))?;
    }
    if wanted("ingest") {
        runtime.block_on(ingest::run(&bench, &mut report, cli.runs))?;
    }
    if wanted("path") {
        runtime.block_on(path::run(&bench, &mut report, cli.seconds))?;
    }
    if wanted("freshness") {
        runtime.block_on(freshness::run(&bench, &mut report, cli.seconds))?;
    }
    report.print();
    report.write(&cli.out)?;
    bench.stop();
    Ok(())
}
