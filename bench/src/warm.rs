//! Load that is not measured.
//!
//! A broker is a Java program: in its first minutes the compiler takes a good part of two cores, which no broker of an
//! installation in use does. The figures of services in use are measured behind that.

use std::time::Duration;

use crate::{
    feed,
    load::{self, Load},
    stack::Bench,
};

const ACCOUNTS: usize = 1_000;

/// `seconds` of the whole path, on topics and tables of its own. The rate must be below what the path holds, so that no
/// backlog is left behind.
pub(crate) async fn run(bench: &Bench, seconds: u64, rate: f64) -> anyhow::Result<()> {
    if seconds == 0 {
        return Ok(());
    }
    let space = bench.space("warm")?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, address) = space.ingest()?;
    let load = Load {
        address,
        key: bench.admin_key.clone(),
        batch: 100,
        accounts: ACCOUNTS,
        connections: 16,
        rate: Some(rate),
        duration: Duration::from_secs(seconds),
        run: 1,
    };
    load::send(&load).await?;
    ingest.stop();
    meter.stop();
    Ok(())
}
