//! What people would use without tollbooth: PostgreSQL, debiting the same events; event by event, and in sets as well as
//! it can.

mod fed;
mod ledger;
mod server;

use std::time::Instant;

use anyhow::{Context as _, ensure};
use tokio::runtime::Runtime;

use crate::{
    debits::{MANY, per_second},
    feed,
    report::Report,
    stack::{Bench, Space},
};
use ledger::{Debits, Divider, Expected};
use server::Server;

/// Connections of the row-by-row form.
const ROW_CONNECTIONS: usize = 16;
/// Events of the row-by-row form: a minute's worth would be the same figure.
const ROWS_MANY: usize = 150_000;
const ROWS_HOT: usize = 30_000;
/// Among how many connections the accounts are divided, tried before on a part of the events.
const CONNECTIONS: [usize; 3] = [1, 2, 4];
const TRIAL_SHARE: usize = 5;

/// Rates of one figure, and how many connections were the best.
#[derive(Debug, Default)]
struct Rates {
    rates: Vec<f64>,
    connections: Vec<usize>,
}

/// All figures of the group.
#[derive(Debug, Default)]
struct Measured {
    row: [Rates; 2],
    batched: [Rates; 2],
    fed: [Rates; 2],
}

/// Accounts, and the place of their figures.
const SETS: [(usize, usize, &str, usize); 2] = [(0, MANY, "many", ROWS_MANY), (1, 1, "hot", ROWS_HOT)];

pub(crate) fn run(
    bench: &Bench,
    runtime: &Runtime,
    report: &mut Report,
    records: usize,
    runs: u32,
) -> anyhow::Result<()> {
    let mut measured = Measured::default();
    let (version, outcome) = runtime.block_on(async {
        let server = Server::start().await?;
        ledger::rehearse(&server).await.context("the rehearsal")?;
        let version: String = server.connect().await?.query_one("SHOW server_version", &[]).await?.try_get(0)?;
        let mut outcome = Ok(());
        for run in 0..runs {
            outcome = measure(bench, &server, &mut measured, records, run).await;
            if outcome.is_err() {
                break;
            }
        }
        anyhow::Ok((version, outcome))
    })?;
    figures(report, &measured, &version, records);
    outcome
}

async fn measure(
    bench: &Bench,
    server: &Server,
    measured: &mut Measured,
    records: usize,
    run: u32,
) -> anyhow::Result<()> {
    for (set, accounts, name, rows) in SETS {
        let rate = row_by_row(server, accounts, rows.min(records), run).await?;
        println!("  pg_row_{name} run {run}: {rate:.0}/s");
        measured.row[set].rates.push(rate);

        let (connections, rate) = batched(server, accounts, records, run).await?;
        println!("  pg_batched_{name} run {run}: {rate:.0}/s over {connections} connection(s)");
        measured.batched[set].rates.push(rate);
        measured.batched[set].connections.push(connections);

        let space = bench.space(&format!("pg{name}{run}"))?;
        feed::backlog(&space, accounts, records, run)?;
        let (connections, rate) = fed(&space, server, accounts, records).await?;
        println!("  pg_fed_{name} run {run}: {rate:.0}/s over {connections} connection(s)");
        measured.fed[set].rates.push(rate);
        measured.fed[set].connections.push(connections);
    }
    Ok(())
}

fn figures(report: &mut Report, measured: &Measured, version: &str, records: usize) {
    let common = format!(
        "PostgreSQL {version} over its socket, fsync off (a killed server loses nothing, a lost machine may), \
         synchronous_commit on, no vacuum within the run, verified inside the database"
    );
    for (set, accounts, name, rows) in SETS {
        let ids = match name {
            "many" => ["pg_row_many", "pg_batched_many", "pg_fed_many"],
            _ => ["pg_row_hot", "pg_batched_hot", "pg_fed_hot"],
        };
        let rows = rows.min(records);
        let row = format!(
            "{rows} events of {accounts} account(s), priced before, a call and a transaction each over {ROW_CONNECTIONS} connections; {common}"
        );
        report.add(ids[0], "debits/s", &measured.row[set].rates, row);
        let size = ledger::BATCH;
        for (id, figure, what) in [
            (ids[1], &measured.batched[set], "parsed and priced before"),
            (
                ids[2],
                &measured.fed[set],
                "from 8 partitions of the same topic, JSON parsed and priced, offsets not kept",
            ),
        ] {
            let connections: Vec<String> = figure.connections.iter().map(ToString::to_string).collect();
            let conditions = format!(
                "{records} events of {accounts} account(s), {what}, {size} a call, keys by time, accounts divided among {} connection(s), \
                 the best of {CONNECTIONS:?} in a trial; {common}",
                connections.join(", ")
            );
            report.add(id, "debits/s", &figure.rates, conditions);
        }
    }
}

/// One transaction an event.
async fn row_by_row(server: &Server, accounts: usize, records: usize, run: u32) -> anyhow::Result<f64> {
    let client = ledger::prepare(server, accounts).await?;
    let debits = all_in_one(accounts, records, run)?;
    let mut clients = Vec::new();
    for _ in 0..ROW_CONNECTIONS {
        clients.push(server.connect().await?);
    }
    let debits = std::sync::Arc::new(debits);
    let mut tasks = tokio::task::JoinSet::new();
    let started = Instant::now();
    for (first, client) in clients.into_iter().enumerate() {
        let debits = debits.clone();
        tasks.spawn(async move { ledger::send_rows(&client, &debits, first, ROW_CONNECTIONS).await });
    }
    let mut charged = 0;
    while let Some(done) = tasks.join_next().await {
        charged += done??;
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(usize::try_from(charged)? == records, "{charged} of {records} were charged");
    ledger::verify(&client, Expected { events: records, sum: debits.sum() }).await?;
    Ok(per_second(records, seconds))
}

fn all_in_one(accounts: usize, records: usize, run: u32) -> anyhow::Result<Debits> {
    let mut all = Debits::default();
    for calls in divided(accounts, records, run, 1)? {
        for call in calls {
            all.append(call);
        }
    }
    Ok(all)
}

/// The calls of each connection.
fn divided(accounts: usize, records: usize, run: u32, connections: usize) -> anyhow::Result<Vec<Vec<Debits>>> {
    let mut divider = Divider::new(connections)?;
    let mut calls = vec![Vec::new(); connections];
    feed::each_event(accounts, records, run, |_, text| {
        if let Some((connection, call)) = divider.take(text.as_bytes())? {
            calls[connection].push(call);
        }
        Ok(())
    })?;
    for (connection, call) in divider.rest() {
        calls[connection].push(call);
    }
    Ok(calls)
}

/// How many connections one account can be divided among: one.
fn choices(accounts: usize) -> impl Iterator<Item = usize> {
    CONNECTIONS.into_iter().filter(move |connections| *connections <= accounts)
}

/// The best number of connections by a trial, and the rate of a whole run with it.
async fn batched(server: &Server, accounts: usize, records: usize, run: u32) -> anyhow::Result<(usize, f64)> {
    let mut best = (1, 0.0);
    for connections in choices(accounts).filter(|_| accounts > 1) {
        let rate = batched_over(server, accounts, records / TRIAL_SHARE, run, connections).await?;
        println!("    trial over {connections}: {rate:.0}/s");
        if rate > best.1 {
            best = (connections, rate);
        }
    }
    Ok((best.0, batched_over(server, accounts, records, run, best.0).await?))
}

async fn batched_over(
    server: &Server,
    accounts: usize,
    records: usize,
    run: u32,
    connections: usize,
) -> anyhow::Result<f64> {
    let client = ledger::prepare(server, accounts).await?;
    let calls = divided(accounts, records, run, connections)?;
    let expected = Expected { events: records, sum: calls.iter().flatten().map(Debits::sum).sum() };
    let mut work = Vec::new();
    for calls in calls {
        work.push((server.connect_for_batches().await?, calls));
    }
    let mut tasks = tokio::task::JoinSet::new();
    let started = Instant::now();
    for (client, calls) in work {
        tasks.spawn(async move { ledger::send_batches(&client, futures_util::stream::iter(calls)).await });
    }
    let mut charged = 0;
    while let Some(done) = tasks.join_next().await {
        charged += done??;
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(usize::try_from(charged)? == records, "{charged} of {records} were charged");
    ledger::verify(&client, expected).await?;
    Ok(per_second(records, seconds))
}

/// As [`batched`], with the events read from the topic.
async fn fed(space: &Space<'_>, server: &Server, accounts: usize, records: usize) -> anyhow::Result<(usize, f64)> {
    let mut best = (1, 0.0);
    for connections in choices(accounts).filter(|_| accounts > 1) {
        let rate = fed::run(space, server, accounts, records / TRIAL_SHARE, connections).await?;
        println!("    trial over {connections}, fed: {rate:.0}/s");
        if rate > best.1 {
            best = (connections, rate);
        }
    }
    Ok((best.0, fed::run(space, server, accounts, records, best.0).await?))
}
