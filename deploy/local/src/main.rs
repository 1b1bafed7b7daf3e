//! `tollbooth-local`: real engines and the whole stack on one machine.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tollbooth_local::stack::{self, Settings};
use tollbooth_local::{Engines, clickhouse_library, explain, kafka_jars};

#[derive(Parser)]
#[command(about = "Runs tollbooth and its engines on one machine", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts engines, services, demo accounts and a simulated fleet, and stays until it is stopped.
    Up {
        /// Return once everything is ready; it goes on in the background.
        #[arg(long)]
        detach: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Stops what `up` started.
    Down {
        #[command(flatten)]
        settings: Settings,
    },
    /// Deletes all data; refuses while it is in use.
    Reset {
        #[command(flatten)]
        settings: Settings,
    },
    /// Shows what runs, where, and how much data there is. Status 0 when everything runs, 3 when not.
    Status {
        #[command(flatten)]
        settings: Settings,
    },
    /// Fetches the engines into the cache folder, unless they are there or given from outside.
    Fetch,
    /// Runs the engines alone until standard input closes, and prints their addresses as shell assignments.
    Engines {
        /// Where their data is kept.
        #[arg(long, default_value = ".local/engines")]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("tollbooth-local: {}", explain(&error));
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up { detach: false, settings } => stack::up(&settings),
        Command::Up { detach: true, settings } => stack::up_detached(&settings),
        Command::Down { settings } => stack::down(&settings),
        Command::Reset { settings } => stack::reset(&settings),
        Command::Status { settings } => stack::status(&settings),
        Command::Fetch => fetch().map(|()| ExitCode::SUCCESS),
        Command::Engines { dir } => engines(&dir).map(|()| ExitCode::SUCCESS),
    }
}

fn fetch() -> anyhow::Result<()> {
    match Engines::external_kafka() {
        Some(bootstrap) => println!("Kafka: the one at {bootstrap}"),
        None => println!("Kafka: {}", kafka_jars()?.display()),
    }
    match Engines::external_clickhouse() {
        Some(url) => println!("ClickHouse: the one at {url}"),
        None => println!("ClickHouse: {}", clickhouse_library()?.display()),
    }
    Ok(())
}

fn engines(dir: &std::path::Path) -> anyhow::Result<()> {
    // ClickHouse takes a relative path for one inside its own folder.
    let engines = Engines::start(&std::path::absolute(dir)?)?;
    println!("KAFKA_BOOTSTRAP={}", engines.kafka.bootstrap());
    println!("CLICKHOUSE_URL={}", engines.clickhouse.url());
    println!("CLICKHOUSE_DATABASE={}", engines.database);
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    engines.stop()?;
    Ok(())
}
