//! Events from the topic into PostgreSQL: one thread reads, parses and prices, each connection charges its accounts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tollbooth_chassis::kafka::{
    ReaderTuning,
    batch::{BatchLimit, BatchReader},
};

use super::{
    ledger::{self, Debits, Divider, Expected},
    server::Server,
};
use crate::{
    debits::per_second,
    stack::{PARTITIONS, Space},
};

const READ: BatchLimit = BatchLimit { records: 20_000, bytes: 16 * 1024 * 1024 };
/// Calls that wait for a connection.
const WAITING: usize = 4;
/// Longest silence of a topic in which there is more.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Charges the first `records` of the topic; gives back debits a second, from the first record read to the last commit.
pub(crate) async fn run(
    space: &Space<'_>,
    server: &Server,
    accounts: usize,
    records: usize,
    connections: usize,
) -> anyhow::Result<f64> {
    let client = ledger::prepare(server, accounts).await?;
    let mut tasks = tokio::task::JoinSet::new();
    let mut calls = Vec::new();
    for _ in 0..connections {
        let client = server.connect_for_batches().await?;
        let (send, receive) = mpsc::channel::<Debits>(WAITING);
        calls.push(send);
        let batches = futures_util::stream::unfold(receive, |mut receive| async move {
            receive.recv().await.map(|debits| (debits, receive))
        });
        tasks.spawn(async move { ledger::send_batches(&client, batches).await });
    }
    let reader = BatchReader::new(&space.clients.reader("bench-postgres", ReaderTuning::default()))?;
    let topic = space.topics.usage();
    let reading = tokio::task::spawn_blocking(move || read(reader, &topic, records, &calls));
    let mut charged = 0;
    while let Some(done) = tasks.join_next().await {
        charged += done??;
    }
    let ended = Instant::now();
    let (started, sum) = reading.await??;
    let seconds = ended.duration_since(started).as_secs_f64();
    ensure!(usize::try_from(charged)? == records, "{charged} of {records} were charged");
    ledger::verify(&client, Expected { events: records, sum }).await?;
    Ok(per_second(records, seconds))
}

/// Reads, parses, prices and divides; gives back when the first record came, and the sum of all.
fn read(
    mut reader: BatchReader,
    topic: &str,
    records: usize,
    calls: &[mpsc::Sender<Debits>],
) -> anyhow::Result<(Instant, i64)> {
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(topic, partition, Offset::Offset(0))?;
    }
    reader.assign(&partitions)?;
    let mut divider = Divider::new(calls.len())?;
    let (mut left, mut sum, mut started) = (records, 0_i64, None);
    let mut heard = Instant::now();
    let mut send = |(connection, call): (usize, Debits)| {
        sum += call.sum();
        calls[connection].blocking_send(call).ok().context("a connection has ended")
    };
    while left > 0 {
        let batch = reader.read(READ, Duration::from_millis(50))?;
        if batch.is_empty() && heard.elapsed() > SILENCE_MAX {
            bail!("{left} of {records} records did not come within {SILENCE_MAX:?}");
        }
        if !batch.is_empty() {
            heard = Instant::now();
            started.get_or_insert(heard);
        }
        for record in batch.iter().take(left) {
            left -= 1;
            if let Some(full) = divider.take(record.payload().unwrap_or_default())? {
                send(full)?;
            }
        }
    }
    for call in divider.rest() {
        send(call)?;
    }
    Ok((started.context("nothing was read")?, sum))
}
