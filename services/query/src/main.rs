//! `tollbooth-query serve`

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tollbooth_chassis::causes::ended;
use tollbooth_chassis::config::{ConfigArgs, prepare};
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_chassis::telemetry;
use tollbooth_query::config::QueryConfig;
use tollbooth_query::service::Service;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The read side of tollbooth.
#[derive(Debug, Parser)]
#[command(name = "tollbooth-query", version)]
struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers balances, activity, usage and prices over HTTP.
    Serve,
}

fn main() -> ExitCode {
    ended(run())
}

fn run() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let Command::Serve = args.command;
    let Some(config) = prepare::<QueryConfig>(&args.config)? else { return Ok(ExitCode::SUCCESS) };
    telemetry::init_logging()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.listen_for_signals()?;
        Service::start(config, shutdown).await?.run().await?;
        Ok(ExitCode::SUCCESS)
    })
}
