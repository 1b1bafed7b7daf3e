//! `tollbooth-ingest`: wires the service and nothing else.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tollbooth_chassis::causes::ended;
use tollbooth_chassis::config::{ConfigArgs, prepare};
use tollbooth_chassis::ops::{self, Health};
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_chassis::telemetry;
use tollbooth_ingest::{Effects, Ingest, IngestConfig, prepare_topics};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The write side of tollbooth.
#[derive(Debug, Parser)]
#[command(name = "tollbooth-ingest", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Takes usage and commands over HTTP.
    Serve,
    /// Carries out what the meter decided: buys the credit that accounts recharge by themselves.
    Effects,
}

fn main() -> ExitCode {
    ended(run())
}

fn run() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let Some(config) = prepare::<IngestConfig>(&args.config)? else { return Ok(ExitCode::SUCCESS) };
    config.check()?;
    telemetry::init_logging()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.command {
        Command::Serve => runtime.block_on(serve(config)),
        Command::Effects => runtime.block_on(effects(config)),
    }
}

async fn bind(address: &str, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}: set {key}"))
}

async fn effects(config: IngestConfig) -> anyhow::Result<ExitCode> {
    let registry = telemetry::registry("effects", env!("CARGO_PKG_VERSION"))?;
    let (health, shutdown) = (Health::new(), Shutdown::new());
    shutdown.listen_for_signals()?;
    let ops_listener = bind(&config.effects.ops_listen, "TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN").await?;
    let topics = health.component("topics");
    let _ops = ops::spawn(ops_listener, registry.clone(), health.clone());
    prepare_topics(&config).await?;
    topics.ready();
    let in_time = Effects::start(&config, &registry, health.clone(), shutdown)?.run().await;
    Ok(if in_time && health.liveness().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve(config: IngestConfig) -> anyhow::Result<ExitCode> {
    let registry = telemetry::registry("ingest", env!("CARGO_PKG_VERSION"))?;
    let (health, shutdown) = (Health::new(), Shutdown::new());
    shutdown.listen_for_signals()?;
    let listener = bind(&config.listen, "TOLLBOOTH_INGEST__LISTEN").await?;
    let ops_listener = bind(&config.ops_listen, "TOLLBOOTH_INGEST__OPS_LISTEN").await?;
    let topics = health.component("topics");
    let _ops = ops::spawn(ops_listener, registry.clone(), health.clone());
    prepare_topics(&config).await?;
    topics.ready();
    let ingest = Ingest::start(config, &registry, health.clone(), shutdown.clone())?;
    let in_time = ingest.serve(listener).await;
    // A component that broke asked for the end itself; whoever started the process must see the difference.
    Ok(if in_time && health.liveness().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
