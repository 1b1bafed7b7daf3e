//! The published figures, one command: `make bench`.
//!
//! Everything runs on this machine: real engines, release builds of the services, and the load itself share its cores.
//! A figure is written only when the run it comes from was verified.

mod copy;
mod core;
mod dataset;
mod debits;
mod feed;
mod freshness;
mod holds;
mod ingest;
mod kstreams;
mod load;
mod mixed;
mod other;
mod path;
mod postgres;
mod queries;
mod ratio;
mod rebuild;
mod report;
mod restart;
mod rows;
mod schedule;
mod scrape;
mod stack;
mod streams;
mod tariff;
mod warm;
mod web;
mod year;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;

use report::Report;
use stack::Bench;

/// What can be asked for by name.
const GROUPS: [&str; 17] = [
    "core",
    "copy",
    "debits",
    "postgres",
    "kstreams",
    "ingest",
    "path",
    "freshness",
    "holds",
    "streams",
    "queries",
    "mixed",
    "web",
    "scrape",
    "restart",
    "rebuild",
    "other",
];
/// In which order: the copy belongs to the debits, and nothing that depends on a warm broker comes before it is.
const ORDER: [&str; 17] = [
    "core",
    "debits",
    "postgres",
    "kstreams",
    "ingest",
    "warm-up",
    "path",
    "freshness",
    "holds",
    "streams",
    "queries",
    "mixed",
    "web",
    "scrape",
    "restart",
    "rebuild",
    "other",
];

#[derive(Parser)]
#[command(about = "Measures tollbooth on this machine and writes bench/results.json.")]
struct Cli {
    /// Only these groups. Default: all.
    #[arg(long, value_delimiter = ',', value_parser = GROUPS)]
    only: Vec<String>,
    /// Usage records of a drained backlog.
    #[arg(long, default_value_t = 2_000_000)]
    backlog: usize,
    /// Ledger entries of the partition that is taken again.
    #[arg(long, default_value_t = 2_000_000)]
    entries: usize,
    /// Ledger rows that the query service is asked about.
    #[arg(long, default_value_t = 2_000_000)]
    rows: usize,
    /// Only these questions to the query service, as `newest`. Default: all.
    #[arg(long, value_delimiter = ',')]
    questions: Vec<String>,
    /// Whether the measured meters keep their state in a store.
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    store: bool,
    /// Runs of each figure that is repeated.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Runs of the whole path, a minute each.
    #[arg(long, default_value_t = 1)]
    path_runs: u32,
    /// Seconds of each open-loop load.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds of load before the whole path and the freshness are measured, until the broker's code is compiled.
    #[arg(long, default_value_t = 240)]
    warm_up: u64,
    /// Events a second of that load, below what the path holds.
    #[arg(long, default_value_t = 15_000.0)]
    warm_up_rate: f64,
    /// Seconds of mixed requests before they are measured: what is kept is kept by then.
    #[arg(long, default_value_t = 120)]
    mixed_warm_up: u64,
    /// A file that names another product's endpoint and questions, see bench/README.md; measured as the last group.
    #[arg(long)]
    other: Option<PathBuf>,
    /// Where the results go.
    #[arg(long, default_value = "bench/results.json")]
    out: PathBuf,
    /// Keeps the engines' data here instead of a folder below target/bench-data that is removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let wanted = |group: &str| cli.only.is_empty() || cli.only.iter().any(|only| only == group);
    // Not the system's folder for temporary files: that may be memory.
    let data = data_dir()?;
    std::fs::create_dir_all(&data)?;
    let temporary = tempfile::Builder::new().prefix("run-").tempdir_in(data)?;
    let dir = cli.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let bench = Bench::start(&dir, cli.store).context("engines")?;
    let mut report = Report::new(&dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for group in ORDER {
        let outcome = match group {
            "core" if wanted(group) => core::run(&mut report, cli.runs),
            "debits" if wanted("debits") || wanted("copy") => {
                debits::run(&bench, &mut report, cli.backlog, cli.runs, wanted("debits"))
            }
            "postgres" if wanted(group) => postgres::run(&bench, &runtime, &mut report, cli.backlog, cli.runs),
            "kstreams" if wanted(group) => kstreams::run(&bench, &mut report, cli.backlog, cli.runs),
            "ingest" if wanted(group) => runtime.block_on(ingest::run(&bench, &mut report, cli.runs, cli.seconds)),
            "warm-up" if wanted("path") || wanted("freshness") || wanted("holds") => {
                runtime.block_on(warm::run(&bench, cli.warm_up, cli.warm_up_rate))
            }
            "path" if wanted(group) => runtime.block_on(path::run(&bench, &mut report, cli.path_runs, cli.seconds)),
            "freshness" if wanted(group) => {
                runtime.block_on(freshness::run(&bench, &mut report, cli.runs, cli.seconds))
            }
            "holds" if wanted(group) => runtime.block_on(holds::run(&bench, &mut report, cli.runs, cli.seconds)),
            "streams" if wanted(group) => runtime.block_on(streams::run(&bench, &mut report, cli.runs)),
            "queries" if wanted(group) => runtime.block_on(queries::run(&bench, &mut report, cli.rows, &cli.questions)),
            "mixed" if wanted(group) => {
                let times = mixed::Times { warm_up_s: cli.mixed_warm_up, measured_s: cli.seconds };
                runtime.block_on(mixed::run(&bench, &mut report, cli.rows, times))
            }
            "web" if wanted(group) => runtime.block_on(web::run(&bench, &mut report, cli.runs)),
            "scrape" if wanted(group) => runtime.block_on(scrape::run(&bench, &mut report, cli.runs, cli.seconds)),
            "restart" if wanted(group) => restart::run(&bench, &mut report, cli.entries),
            "rebuild" if wanted(group) => rebuild::run(&bench, &mut report, cli.rows, cli.runs),
            "other" if wanted(group) => {
                cli.other.as_ref().map_or(Ok(()), |file| runtime.block_on(other::run(&mut report, file, cli.runs)))
            }
            _ => continue,
        };
        if let Err(error) = outcome {
            report.failed(group, &error);
        }
        // After each group: what fails or is stopped later takes nothing away.
        report.write(&cli.out)?;
    }
    report.print();
    println!("written to {}", cli.out.display());
    bench.stop();
    let problems = report.problems();
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("not a success:\n  {}", problems.join("\n  "));
    Ok(ExitCode::FAILURE)
}

/// `target/bench-data`, wherever `target` is: this program is `target/<profile>/tollbooth-bench`.
fn data_dir() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("the target folder")?;
    Ok(target.join("bench-data"))
}
