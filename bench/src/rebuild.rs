//! ClickHouse filled from the ledger, from nothing.

use anyhow::Context as _;

use crate::{
    feed,
    report::Report,
    stack::{Bench, Space},
    year,
};

/// Fills a database of its own for each run.
pub(crate) fn run(bench: &Bench, report: &mut Report, rows: usize, runs: u32) -> anyhow::Result<()> {
    let space = bench.space("rebuild")?;
    feed::prepare(&space, 0)?;
    year::write_ledger(&space, rows)?;
    let rates = (0..runs).map(|run| filled(&space, run)).collect::<anyhow::Result<Vec<f64>>>()?;
    let conditions = format!(
        "{rows} entries over a year from offset 0 into an empty database, all tables and views, from start to the last \
         commit; the command's own start is in it"
    );
    report.add("rebuild_rate", "entries/s", &rates, conditions);
    Ok(())
}

/// Entries a second, by the command's own word, and every one of them is there.
fn filled(space: &Space<'_>, run: u32) -> anyhow::Result<f64> {
    let database = format!("rebuild_{run}");
    let told = space.meter_tool(&["rebuild", "--database", &database])?;
    let number = |before: &str| -> anyhow::Result<f64> {
        let (head, _) = told.split_once(before).with_context(|| told.clone())?;
        Ok(head.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    let (rows, rate) = (number(" rows in ")?, number(" a second")?);
    let there: f64 = space.bench.clickhouse(&format!("SELECT count() FROM {database}.ledger"))?.parse()?;
    anyhow::ensure!(rows > 0.0 && (there - rows).abs() < 0.5, "{there} rows of {rows}");
    println!("  rebuilt {rows:.0} rows at {rate:.0}/s");
    space.bench.clickhouse(&format!("DROP DATABASE {database}"))?;
    Ok(rate)
}
