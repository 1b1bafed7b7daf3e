//! What people would use without tollbooth: Kafka Streams with a running balance per account, exactly once.

use std::{
    collections::HashMap,
    fs::File,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use tollbooth_chassis::kafka::{
    ReaderTuning, TopicSpec,
    batch::{BatchLimit, BatchReader, TimestampKind},
};
use tollbooth_schemas::usage::parse_structured;

use crate::{
    debits::{MANY, per_second},
    feed::{self, CREDIT_MICROS},
    report::Report,
    stack::{Bench, PARTITIONS, Space, signal},
    tariff::Tariff,
};

const WHAT: &str = "Kafka Streams 4.2.2";
const FOLDER: &str = "kafka-streams-4.2.2";
const POM: &str = include_str!("../streams/pom.xml");
const JARS: &str = include_str!("../streams/jars.sha256");
const PROGRAM: &str = include_str!("../streams/Balances.java");
/// How often it commits, in milliseconds: its own default and a patient one.
const COMMIT_MS: [u32; 2] = [100, 1_000];
const DONE_WAIT: Duration = Duration::from_secs(300);
const ASK: Duration = Duration::from_secs(10);
const READ: BatchLimit = BatchLimit { records: 20_000, bytes: 16 * 1024 * 1024 };

/// Records a second of one run.
#[derive(Debug, Clone, Copy)]
struct Rates {
    /// From the first record out to the last.
    whole: f64,
    /// Of the second half, when its code is compiled.
    second_half: f64,
}

pub(crate) fn run(bench: &Bench, report: &mut Report, records: usize, runs: u32) -> anyhow::Result<()> {
    check_compiler()?;
    let mut measured = [Vec::new(), Vec::new()];
    let outcome = (0..runs).try_for_each(|run| {
        let space = bench.space(&format!("kstreams{run}"))?;
        feed::backlog(&space, MANY, records, run)?;
        for (rates, commit_ms) in measured.iter_mut().zip(COMMIT_MS) {
            let rate = measure(&space, records, run, commit_ms)?;
            println!(
                "  streams_eos run {run}, commits every {commit_ms} ms: {:.0}/s, second half {:.0}/s",
                rate.whole, rate.second_half
            );
            rates.push(rate);
        }
        anyhow::Ok(())
    });
    figures(report, &measured, records);
    outcome
}

/// A figure: its id, what of the rates it is, and that in words.
type Kind = (&'static str, fn(&Rates) -> f64, &'static str);

fn figures(report: &mut Report, measured: &[Vec<Rates>; 2], records: usize) {
    // The better interval is looked for by itself for each: the one that is better from the start need not be it later.
    let kinds: [Kind; 2] = [
        ("streams_eos", |rates| rates.whole, "from the first record out to the last, while its code is being compiled"),
        (
            "streams_eos_warm",
            |rates| rates.second_half,
            "the second half of the records out, when its code is compiled",
        ),
    ];
    for (id, value, what) in kinds {
        let best = |rates: &[Rates]| rates.iter().map(value).fold(0.0, f64::max);
        let better = usize::from(best(&measured[1]) > best(&measured[0]));
        let rates: Vec<f64> = measured[better].iter().map(value).collect();
        let conditions = format!(
            "{WHAT}, exactly_once_v2, 2 threads, RocksDB with a cache and a changelog, commits every {} ms (best with {} ms: \
             {:.0}), {records} events of {MANY} accounts from 8 partitions, JSON parsed, a flat price, no dedupe of \
             operations, one record of 100 bytes out for each, by the broker's clock: {what}; all records out verified",
            COMMIT_MS[better],
            COMMIT_MS[1 - better],
            best(&measured[1 - better])
        );
        report.add(id, "records/s", &rates, conditions);
    }
}

/// The program is a source file, which Java compiles at its start where it has a compiler.
fn check_compiler() -> anyhow::Result<()> {
    let listed = Command::new(tollbooth_local::java_program()).arg("--list-modules").output().context("start java")?;
    if String::from_utf8_lossy(&listed.stdout).lines().any(|module| module.starts_with("jdk.compiler")) {
        return Ok(());
    }
    bail!(
        "this Java has no compiler (module jdk.compiler). Debian, Ubuntu: apt-get install openjdk-17-jdk-headless, or the \
         one of your Java's version; `deploy/local/setup.sh --bench` does it"
    )
}

/// Stopped when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn measure(space: &Space<'_>, records: usize, run: u32, commit_ms: u32) -> anyhow::Result<Rates> {
    let out = format!("{}debits-{commit_ms}", space.topics.prefix);
    // The broker's own clock, so that no reader beside it is needed.
    let config = vec![("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())];
    space.create_topics(&[TopicSpec { name: out.clone(), partitions: PARTITIONS, replication: 1, config }])?;
    let mut running = Running(start(space, &out, commit_ms)?);
    wait_done(space, &out, &mut running.0)?;
    signal(&running.0, "TERM");
    running.0.wait()?;
    verified(space, &out, records, run)
}

/// Its application id is the name of the topic that it writes.
fn start(space: &Space<'_>, out: &str, commit_ms: u32) -> anyhow::Result<Child> {
    let libs = tollbooth_local::maven_jars(WHAT, 95, FOLDER, POM, JARS)?;
    let dir = space.path(out);
    std::fs::create_dir_all(&dir)?;
    let (program, prices) = (dir.join("Balances.java"), dir.join("prices"));
    std::fs::write(&program, PROGRAM)?;
    std::fs::write(&prices, Tariff::published()?.lines())?;
    let mut java = Command::new(tollbooth_local::java_program());
    java.args(["-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "-XX:-UsePerfData"]);
    java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    java.arg("-cp").arg(libs.join("*")).arg(program);
    java.args([space.clients.section().bootstrap.as_str(), out, space.topics.usage().as_str(), out]);
    java.arg(dir.join("state")).arg(commit_ms.to_string()).arg(prices).arg(CREDIT_MICROS.to_string());
    java.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(dir.join("log"))?);
    tollbooth_local::die_with_parent(&mut java);
    java.spawn().context("start java")
}

/// Its offsets are committed with what it writes: where they are at the end, everything is out.
fn wait_done(space: &Space<'_>, application: &str, child: &mut Child) -> anyhow::Result<()> {
    let topic = space.topics.usage();
    let reader = BatchReader::new(&space.clients.reader(application, ReaderTuning::default()))?;
    let mut ends = Vec::new();
    for partition in 0..PARTITIONS {
        ends.push((partition, reader.watermarks(&topic, partition, ASK)?.1));
    }
    let begun = Instant::now();
    loop {
        let mut asked = TopicPartitionList::new();
        for (partition, _) in &ends {
            asked.add_partition(&topic, *partition);
        }
        let committed = reader.committed(asked, ASK)?;
        let reached = |(partition, end): &(i32, i64)| {
            let found = committed.find_partition(&topic, *partition).map(|found| found.offset());
            *end == 0 || matches!(found, Some(Offset::Offset(offset)) if offset >= *end)
        };
        if ends.iter().all(reached) {
            return Ok(());
        }
        let ended = child.try_wait()?;
        if ended.is_some() || begun.elapsed() > DONE_WAIT {
            let log = std::fs::read_to_string(space.path(application).join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            bail!(
                "{WHAT} did not get to the end ({ended:?}):\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What it writes.
#[derive(Debug, Deserialize)]
struct Debited {
    amount: i64,
    balance: i64,
}

/// Reads all that is out: one record for each event, each balance from the one before. Gives back the rates.
fn verified(space: &Space<'_>, out: &str, records: usize, run: u32) -> anyhow::Result<Rates> {
    let mut reader = BatchReader::new(&space.clients.reader("bench-kstreams", ReaderTuning::default()))?;
    let mut partitions = TopicPartitionList::new();
    let mut ends = Vec::new();
    for partition in 0..PARTITIONS {
        ends.push((partition, reader.watermarks(out, partition, ASK)?.1));
        partitions.add_partition_offset(out, partition, Offset::Offset(0))?;
    }
    reader.assign(&partitions)?;
    let mut balances: HashMap<Vec<u8>, i64> = HashMap::new();
    let mut times = Vec::with_capacity(records);
    let mut sum = 0;
    let mut heard = Instant::now();
    loop {
        let batch = reader.read(READ, Duration::from_millis(50))?;
        for record in batch.iter() {
            let debited: Debited = serde_json::from_slice(record.payload().unwrap_or_default())?;
            let balance = balances.entry(record.key().unwrap_or_default().to_vec()).or_insert(CREDIT_MICROS);
            ensure!(debited.balance == *balance - debited.amount, "a balance does not follow from the one before");
            *balance = debited.balance;
            sum += debited.amount;
            let time = record.timestamp().filter(|time| time.kind == TimestampKind::LogAppendTime);
            times.push(time.context("a record without the broker's time")?.millis);
            heard = Instant::now();
        }
        let mut done = true;
        for (partition, end) in &ends {
            done &= reader.position(out, *partition)?.is_some_and(|position| position >= *end);
        }
        if done {
            break;
        }
        ensure!(heard.elapsed() < DONE_WAIT, "what was written cannot be read");
    }
    ensure!(times.len() == records, "{} records out for {records} in; there is no figure", times.len());
    ensure!(sum == expected_sum(records, run)?, "the amounts do not add up; there is no figure");
    rates(&mut times)
}

/// What the events in the topic come to.
fn expected_sum(records: usize, run: u32) -> anyhow::Result<i64> {
    let tariff = Tariff::published()?;
    let mut sum = 0;
    feed::each_event(MANY, records, run, |_, text| {
        sum += tariff.price(&parse_structured(text.as_bytes())?)?.1;
        Ok(())
    })?;
    Ok(sum)
}

fn rates(times: &mut [i64]) -> anyhow::Result<Rates> {
    times.sort_unstable();
    let middle = times.len() / 2;
    let (Some(first), Some(half), Some(last)) = (times.first(), times.get(middle), times.last()) else {
        bail!("nothing was written");
    };
    let rate = |count: usize, milliseconds: i64| -> anyhow::Result<f64> {
        let milliseconds = u64::try_from(milliseconds).ok().filter(|span| *span > 0);
        let span =
            Duration::from_millis(milliseconds.context("all was written at once: a larger backlog can be timed")?);
        Ok(per_second(count, span.as_secs_f64()))
    };
    Ok(Rates { whole: rate(times.len(), last - first)?, second_half: rate(times.len() - middle, last - half)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_from_the_first_record_to_the_last_and_of_the_second_half() {
        // given 100 records in ten seconds, then 100 in one
        let mut times: Vec<i64> =
            (0..100).map(|number| number * 100).chain((0..=100).map(|number| 10_000 + number * 10)).collect();
        times.reverse();
        // when rates are made
        let rates = rates(&mut times).unwrap();
        // then
        assert!((rates.whole - 201.0 / 11.0).abs() < 0.001, "{rates:?}");
        assert!((rates.second_half - 101.0).abs() < 0.001, "{rates:?}");
        assert!(super::rates(&mut [5, 5, 5]).is_err());
    }
}
