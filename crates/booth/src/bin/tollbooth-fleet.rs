//! `tollbooth-fleet`: plays a fleet of photo booths against ingest and Kafka.
use clap::Parser;
use tollbooth_booth::fleet::cli::{Cli, execute};

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
            tracing_subscriber::EnvFilter::new("warn,tollbooth_booth::booth=error,librdkafka=error")
        }))
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(execute(Cli::parse()))
}
