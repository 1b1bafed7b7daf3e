//! Load that is not measured.
//!
//! A broker is a Java program: in its first minutes the compiler takes a good part of two cores, which no broker of an
//! installation in use does. So nothing that goes through it is measured before: neither ours nor what it is compared with.

use std::time::Duration;

use crate::{
    feed,
    load::{self, Load},
    report::Report,
    stack::Bench,
};

const ACCOUNTS: usize = 1_000;

/// `seconds` of the whole path, on topics and tables of its own. The rate must be below what the path holds, so that no
/// backlog is left behind.
pub(crate) async fn run(bench: &Bench, report: &mut Report, seconds: u64, rate: f64) -> anyhow::Result<()> {
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
        recent: None,
    };
    load::send(&load).await?;
    report.warmed_up(format!("{rate:.0} events/s for {seconds} s, before all groups"));
    ingest.stop();
    meter.stop();
    Ok(())
}
