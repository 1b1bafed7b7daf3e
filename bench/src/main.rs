//! The published figures, one command: `make bench`.
//!
//! Everything runs on this machine: real engines, release builds of the services, and the load itself share its cores.
//! A figure is written only when the run it comes from was verified.

mod copy;
mod core;
mod curve;
mod dataset;
mod debits;
mod feed;
mod folder;
mod freshness;
mod goal;
mod growth;
mod holds;
mod ingest;
mod kstreams;
mod load;
mod mixed;
mod options;
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
mod soak;
mod stack;
mod streams;
mod tariff;
mod visible;
mod warm;
mod web;
mod year;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::runtime::Runtime;

use options::Options;
use report::Report;
use stack::Bench;

/// In which order: the copy belongs to the debits, and nothing that goes through the broker comes before it is warm, ours
/// as little as what it is compared with.
const ORDER: [&str; 19] = [
    "core",
    "warm-up",
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
    "growth",
    "soak",
];

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    // Not the system's folder for temporary files: that may be memory.
    let temporary = folder::temporary()?;
    let dir = options.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let bench = Bench::start(&dir, options.store).context("engines")?;
    let mut report = Report::new(&dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for group in ORDER {
        let Some(outcome) = measure(group, &options, &bench, &runtime, &mut report) else { continue };
        if let Err(error) = outcome {
            report.failed(group, &error);
        }
        // After each group: what fails or is stopped later takes nothing away.
        report.write(&options.out)?;
    }
    report.print();
    println!("written to {} and, to be read, {}", options.out.display(), options.out.with_extension("md").display());
    bench.stop();
    let problems = report.problems();
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("not a success:\n  {}", problems.join("\n  "));
    Ok(ExitCode::FAILURE)
}

/// One group; `None` where it is not wanted.
fn measure(
    group: &str,
    options: &Options,
    bench: &Bench,
    runtime: &Runtime,
    report: &mut Report,
) -> Option<anyhow::Result<()>> {
    let (runs, seconds) = (options.runs, options.seconds);
    let is_wanted = match group {
        "debits" => options.wants("debits") || options.wants("copy"),
        "warm-up" => options.wants_warm_broker() && options.warm_up > 0,
        group => options.wants(group),
    };
    is_wanted.then(|| match group {
        "core" => core::run(report, runs),
        "warm-up" => runtime.block_on(warm::run(bench, report, options.warm_up, options.warm_up_rate)),
        "debits" => debits::run(bench, report, options.backlog, runs, options.wants("debits")),
        "postgres" => postgres::run(bench, runtime, report, options.backlog, runs),
        "kstreams" => kstreams::run(bench, report, options.backlog, runs),
        "ingest" => runtime.block_on(ingest::run(bench, report, runs, seconds)),
        "path" => runtime.block_on(path::run(bench, report, options.path_rate, options.path_runs, seconds)),
        "freshness" => runtime.block_on(freshness::run(bench, report, options.freshness_rate, runs, seconds)),
        "holds" => runtime.block_on(holds::run(bench, report, runs, seconds)),
        "streams" => runtime.block_on(streams::run(bench, report, runs)),
        "queries" => runtime.block_on(queries::run(bench, report, options.rows, &options.questions)),
        "mixed" => {
            let times = mixed::Times { warm_up_s: options.mixed_warm_up, measured_s: seconds };
            runtime.block_on(mixed::run(bench, report, options.rows, times))
        }
        "web" => runtime.block_on(web::run(bench, report, runs)),
        "scrape" => runtime.block_on(scrape::run(bench, report, runs, seconds)),
        "restart" => restart::run(bench, report, options.entries),
        "rebuild" => rebuild::run(bench, report, options.rows, runs),
        "other" => options.other.as_ref().map_or(Ok(()), |file| runtime.block_on(other::run(report, file, runs))),
        "growth" => growth::run(bench, runtime, report, options),
        "soak" => {
            let plan =
                soak::Plan { minutes: options.soak_minutes, rate: options.soak_rate, accounts: options.soak_accounts };
            runtime.block_on(soak::run(bench, report, plan))
        }
        _ => Ok(()),
    })
}
