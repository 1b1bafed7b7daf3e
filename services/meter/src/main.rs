//! `tollbooth-meter`: wires, and nothing else.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tollbooth_chassis::{
    causes::ended,
    config::{self, ConfigArgs},
    memory, telemetry,
};
use tollbooth_meter::{
    backup::{self, BackupArgs, RestoreArgs},
    config::MeterConfig,
    rebuild::{self, RebuildArgs},
    run,
    verify::{self, VerifyArgs},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "Prices usage, debits balances exactly once, lands the ledger in ClickHouse.")]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the meter, with the sink beside it unless `sink_enabled` is false.
    Run,
    /// Runs the sink alone.
    Sink,
    /// Creates the topics that are missing, checks the others, and leaves: for a cluster whose services may create none.
    Topics,
    /// Proves that the ledger, its sources, the rows and a fleet's journal agree; exits with 1 where they do not.
    Verify(VerifyArgs),
    /// Copies the installation's topics to object files; what an earlier backup has is not copied again.
    Backup(BackupArgs),
    /// Writes a backup into new topics, of the same number of partitions or (`--rekey`) another one.
    Restore(RestoreArgs),
    /// Fills a new ClickHouse database from the ledger, beside the one in use.
    Rebuild(RebuildArgs),
}

fn main() -> ExitCode {
    memory::take_small_pages();
    ended(run_command())
}

fn run_command() -> anyhow::Result<ExitCode> {
    telemetry::init_logging()?;
    let cli = Cli::parse();
    let config: MeterConfig = config::load(&cli.config)?;
    config.limits()?;
    if cli.config.check_config {
        print!("{}", config::render(&config)?);
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match cli.command {
        Command::Run => runtime.block_on(run::run(config))?,
        Command::Sink => runtime.block_on(run::sink(config))?,
        Command::Topics => runtime.block_on(run::topics(config))?,
        Command::Backup(args) => print!("{}", backup::backup(&config, &args)?),
        Command::Restore(args) => print!("{}", backup::restore(&config, &args)?),
        Command::Rebuild(args) => print!("{}", rebuild::run(&config, &args)?),
        Command::Verify(args) => {
            let json = args.json;
            let report = verify::run(&config, args)?;
            print!("{}", report.render(json));
            return Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}
