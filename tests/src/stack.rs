//! Engines and services, all on free ports, as one thing to test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::Method;
use tollbooth_local::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions};
use tollbooth_schemas::topics::{METER_GROUP, TopicSet};

use crate::api::Api;
use crate::binaries::Binary;
use crate::builder::{Builder, address, admin_key, fresh_dir, store_dir, with_store};
use crate::collector::Collector;
use crate::kafka::Log;
use crate::process::Process;
use crate::wait::wait_until;
use crate::watch::Ends;

const LISTEN: &str = "TOLLBOOTH_INGEST__LISTEN";
pub(crate) const DATABASE: &str = "tollbooth";
/// Of the keyed topics.
pub(crate) const PARTITIONS: i32 = 8;
/// A start may have to wait for a session of the process before it, and for a broker that recovers.
const READY_PATIENCE: Duration = Duration::from_secs(120);

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Names its folder.
    pub name: &'static str,
    /// The broker's heap.
    pub kafka_heap_mb: u32,
    /// Which of the meters keep their state in stores on the disk, with as little as possible of it in memory.
    pub stores: [bool; 2],
}

/// What can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// One of the two meters, by its index.
    Meter(usize),
    /// The sink.
    Sink,
    /// Ingest.
    Ingest,
    /// What carries out the meter's effects: recharges, alerts.
    Effects,
    /// ClickHouse.
    ClickHouse,
    /// The one broker.
    Broker,
}

impl Victim {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Meter(0), Self::Meter(1), Self::Sink, Self::Ingest, Self::Effects, Self::ClickHouse, Self::Broker];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meter(0) => "meter-a",
            Self::Meter(_) => "meter-b",
            Self::Sink => "sink",
            Self::Ingest => "ingest",
            Self::Effects => "effects",
            Self::ClickHouse => "clickhouse",
            Self::Broker => "broker",
        }
    }
}

/// Everything, running.
#[derive(Debug)]
pub struct Stack {
    /// The broker; of a cluster the first one.
    pub kafka: Kafka,
    /// The cluster's other brokers.
    pub others: Vec<Kafka>,
    /// The projection's server.
    pub clickhouse: ClickHouse,
    /// The write side.
    pub ingest: Process,
    /// Carries out what the meter decided: recharges, alerts.
    pub effects: Process,
    /// Two members of the meter's group, without a sink.
    pub meters: [Process; 2],
    /// The sink as a process of its own.
    pub sink: Process,
    /// The read side.
    pub query: Process,
    /// Requests.
    pub api: Api,
    /// Kafka from the side.
    pub log: Log,
    /// What is sent the spans of requests that came with a trace; none begins here.
    pub collector: Collector,
    group: Mutex<String>,
    /// What every process is told beside its own settings.
    settings: Mutex<BTreeMap<String, String>>,
    kept: AtomicBool,
    pub(crate) ends: Mutex<Ends>,
    dir: PathBuf,
}

impl Stack {
    /// Starts engines and services and waits until all are ready.
    ///
    /// # Errors
    /// What is missing or did not start, with the end of its log.
    pub fn start(options: &StackOptions) -> anyhow::Result<Self> {
        let stack = Self::prepare(options, 1)?;
        stack.run()?;
        Ok(stack)
    }

    /// Starts so many brokers, with a copy of every record on each, and ClickHouse; the services are made, and none runs.
    ///
    /// # Errors
    /// What is missing or did not start, with the end of its log.
    pub fn prepare(options: &StackOptions, brokers: usize) -> anyhow::Result<Self> {
        let dir = fresh_dir(options.name)?;
        let kafka = KafkaOptions { heap_mb: options.kafka_heap_mb, ..KafkaOptions::new(dir.join("kafka")) };
        let kafka = std::thread::spawn(move || Kafka::start_cluster(kafka, brokers));
        let clickhouse = ClickHouse::start(ClickHouseOptions::new(dir.join("clickhouse")))?;
        clickhouse.create_database(DATABASE)?;
        let Ok(kafka) = kafka.join() else { bail!("starting Kafka panicked") };
        let mut others = kafka?;
        let kafka = others.remove(0);
        let bootstrap: Vec<&str> = std::iter::once(&kafka).chain(&others).map(Kafka::bootstrap).collect();
        let bootstrap = bootstrap.join(",");

        let key = admin_key()?;
        let logs = dir.join("logs");
        fs::create_dir_all(dir.join("crash-points"))?;
        fs::create_dir_all(&logs)?;
        let collector = Collector::start()?;
        let spans_to = collector.endpoint();
        let build = Builder {
            dir: &dir,
            logs: &logs,
            bootstrap: &bootstrap,
            replication: brokers,
            clickhouse: &clickhouse,
            key: &key,
            spans_to,
        };
        let (ingest_at, query_at) = (address()?, address()?);
        let ingest = build.ingest("ingest", "serve", "TOLLBOOTH_INGEST__OPS_LISTEN")?.with(LISTEN, &ingest_at);
        let effects = build.ingest("effects", "effects", "TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN")?;
        let meters = [build.meter("meter-a", &["run"])?, build.meter("meter-b", &["run"])?];
        for (index, meter) in meters.iter().enumerate().filter(|(index, _)| options.stores[*index]) {
            with_store(meter, &store_dir(&dir, index));
        }
        let sink = build.meter("sink", &["sink"])?;
        let query = build.query(&query_at)?;
        let api = Api::new(format!("http://{ingest_at}"), format!("http://{query_at}"), key.clone())?;
        let topics = TopicSet { prefix: "tollbooth.".to_owned(), partitions: PARTITIONS };
        let log = Log::new(&bootstrap, topics);
        let group = Mutex::new(METER_GROUP.to_owned());
        let (settings, kept, ends) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        Ok(Self {
            kafka,
            others,
            clickhouse,
            ingest,
            effects,
            meters,
            sink,
            query,
            api,
            log,
            collector,
            group,
            settings,
            kept,
            ends,
            dir,
        })
    }

    /// Starts the services and waits until all are ready.
    ///
    /// # Errors
    /// With the log of the one that is not.
    pub fn run(&self) -> anyhow::Result<()> {
        // The first one creates the topics; side by side they would only compete for it.
        self.ingest.start()?;
        self.wait_ready(&self.ingest)?;
        for service in self.services() {
            if !service.is_running() {
                service.start()?;
            }
        }
        self.wait_all_ready()
    }

    /// Ends the services in order; the engines go on.
    ///
    /// # Errors
    /// When one does not end.
    pub fn stop_services(&self) -> anyhow::Result<()> {
        for service in self.services() {
            if service.is_running() {
                service.stop(READY_PATIENCE)?;
            }
        }
        Ok(())
    }

    /// Sets a variable for the next start of every service, and for every tool.
    pub fn set_everywhere(&self, variable: &str, value: &str) {
        for service in self.services() {
            service.set(variable, value);
        }
        lock(&self.settings).insert(variable.to_owned(), value.to_owned());
    }

    /// The brokers, in the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = &Kafka> {
        std::iter::once(&self.kafka).chain(&self.others)
    }

    /// The services, in the order of the path.
    #[must_use]
    pub fn services(&self) -> [&Process; 6] {
        [&self.ingest, &self.meters[0], &self.meters[1], &self.sink, &self.effects, &self.query]
    }

    /// The meter's group as it is set.
    #[must_use]
    pub fn meter_group(&self) -> String {
        lock(&self.group).clone()
    }

    /// Another group for the meters' next start.
    pub fn set_meter_group(&self, group: &str) {
        group.clone_into(&mut lock(&self.group));
        for meter in &self.meters {
            meter.set("TOLLBOOTH_METER__GROUP", group);
        }
    }

    /// Where fault points are armed.
    #[must_use]
    pub fn crash_dir(&self) -> PathBuf {
        self.dir.join("crash-points")
    }

    /// Keeps logs and data when this is dropped, for somebody to look at.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Where a meter has its stores, whether it keeps some or not.
    #[must_use]
    pub fn store_dir(&self, meter: usize) -> PathBuf {
        store_dir(&self.dir, meter)
    }

    /// Where everything of this stack lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// SIGKILL; gives back whether that was what ended it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&self, victim: Victim) -> anyhow::Result<bool> {
        let ran = self.is_running(victim);
        match victim {
            Victim::ClickHouse => self.clickhouse.kill()?,
            Victim::Broker => self.kafka.kill()?,
            _ => return self.process(victim).map_or(Ok(false), Process::kill),
        }
        Ok(ran)
    }

    /// Whether it runs at this moment.
    #[must_use]
    pub fn is_running(&self, victim: Victim) -> bool {
        match victim {
            Victim::ClickHouse => self.clickhouse.is_running(),
            Victim::Broker => self.kafka.is_running(),
            _ => self.process(victim).is_some_and(Process::is_running),
        }
    }

    /// Starts it again with the same identity, ports and data; does not wait until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&self, victim: Victim) -> anyhow::Result<()> {
        match victim {
            Victim::ClickHouse => Ok(self.clickhouse.restart()?),
            Victim::Broker => Ok(self.kafka.restart()?),
            _ => self.process(victim).map_or(Ok(()), Process::start),
        }
    }

    /// The service's process; none for an engine.
    #[must_use]
    pub fn process(&self, victim: Victim) -> Option<&Process> {
        match victim {
            Victim::Meter(index) => self.meters.get(index),
            Victim::Sink => Some(&self.sink),
            Victim::Ingest => Some(&self.ingest),
            Victim::Effects => Some(&self.effects),
            Victim::ClickHouse | Victim::Broker => None,
        }
    }

    /// Starts whatever is down, and waits until all is ready; with or without a manager.
    ///
    /// # Errors
    /// When something does not come back.
    pub fn heal(&self) -> anyhow::Result<()> {
        for broker in self.brokers().filter(|broker| !broker.is_running()) {
            broker.restart()?;
        }
        if !self.is_running(Victim::ClickHouse) {
            self.restart(Victim::ClickHouse)?;
        }
        for service in self.services() {
            if !service.is_running() {
                service.start()?;
            }
        }
        self.wait_all_ready()
    }

    /// Waits until every service says that it is ready and all partitions are served.
    ///
    /// # Errors
    /// With the log of the one that is not.
    pub fn wait_all_ready(&self) -> anyhow::Result<()> {
        for service in self.services() {
            self.wait_ready(service)?;
        }
        self.wait_served()
    }

    /// Waits until the running meters serve all partitions together.
    ///
    /// # Errors
    /// With the meters' logs.
    pub fn wait_served(&self) -> anyhow::Result<()> {
        let served = || {
            for meter in &self.meters {
                self.start_again(meter).ok()?;
            }
            let sum: f64 = self.meters.iter().filter_map(|meter| self.metric(meter, SERVING)).sum();
            (sum >= f64::from(self.log.topics.partitions)).then_some(())
        };
        self.wait("the meters to serve every partition", READY_PATIENCE, served)
    }

    /// Waits until one service is ready. One that ends meanwhile is not ready yet, and is started again: a service that
    /// cannot tell what happened leaves rather than guesses.
    ///
    /// # Errors
    /// When it is not ready in time, with its log.
    pub fn wait_ready(&self, service: &Process) -> anyhow::Result<()> {
        let address = service.ops_address().context("no operations listener")?;
        let url = format!("http://{address}/readyz");
        let mut last_end = None;
        let outcome = wait_until(&format!("{} to be ready", service.name()), READY_PATIENCE, || {
            last_end = self.start_again(service).ok()?.or(last_end);
            let answer = self.api.request(Method::GET, &url, None, &[], None).ok()?;
            (answer.status == 200).then_some(())
        });
        outcome.with_context(|| {
            let ended = last_end.map(|status| format!("it ended again and again, the last time with {status}\n"));
            format!("{}{}", ended.unwrap_or_default(), service.log_tail())
        })
    }

    /// All that a service exposes; `None` while it does not answer.
    #[must_use]
    pub fn metrics_text(&self, service: &Process) -> Option<String> {
        let url = format!("http://{}/metrics", service.ops_address()?);
        let text = self.api.request(Method::GET, &url, None, &[], None).ok()?.ok().ok()?;
        text.as_str().map(ToOwned::to_owned)
    }

    /// Sum of a metric over its labels; `None` while the service does not answer.
    #[must_use]
    pub fn metric(&self, service: &Process, name: &str) -> Option<f64> {
        let text = self.metrics_text(service)?;
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Some(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// [`wait_until`], with the services' logs where it was in vain.
    ///
    /// # Errors
    /// After `patience`.
    pub fn wait<T>(&self, what: &str, patience: Duration, look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
        wait_until(what, patience, look).with_context(|| self.logs())
    }

    /// Waits until the meters have committed everything that is in their topics now.
    ///
    /// # Errors
    /// After `patience`.
    pub fn wait_metered(&self, patience: Duration) -> anyhow::Result<()> {
        let group = self.meter_group();
        self.wait("the meter's lag to be 0", patience, || (self.log.meter_lag(&group).ok()? == 0).then_some(()))
    }

    /// Waits until the sink has landed all of the ledger.
    ///
    /// # Errors
    /// After `patience`.
    pub fn wait_sunk(&self, patience: Duration) -> anyhow::Result<()> {
        self.wait("the sink to catch up", patience, || (self.log.sink_lag().ok()? == 0).then_some(()))
    }

    /// Runs something that needs a runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.api.block_on(future)
    }

    /// The ends of all logs.
    #[must_use]
    pub fn logs(&self) -> String {
        let tails: Vec<String> = self.services().into_iter().map(Process::log_tail).collect();
        format!("{}\nall of it: {}", tails.join("\n"), self.dir.display())
    }

    /// A further process of the workspace with this stack's addresses.
    ///
    /// # Errors
    /// When it was not built.
    pub fn tool(&self, name: &str, binary: Binary, arguments: &[&str]) -> anyhow::Result<Process> {
        let logs = self.dir.join("logs");
        let key = self.api.admin_key();
        let build = Builder {
            dir: &self.dir,
            logs: &logs,
            bootstrap: self.log.bootstrap(),
            replication: self.others.len() + 1,
            clickhouse: &self.clickhouse,
            key,
            spans_to: self.collector.endpoint(),
        };
        let tool = build.process(name, binary, arguments)?.with_output(logs.join(format!("{name}.out")));
        let tool = tool
            .with("TOLLBOOTH_INGEST_URL", self.api.ingest_url())
            .with("TOLLBOOTH_QUERY_URL", self.api.query_url())
            .with("TOLLBOOTH_METER__GROUP", self.meter_group())
            .with("TOLLBOOTH_METER__TOPICS__PARTITIONS", PARTITIONS.to_string())
            .with("TOLLBOOTH_METER__TOPICS__REPLICATION", build.replication.to_string());
        for (variable, value) in lock(&self.settings).iter() {
            tool.set(variable, value);
        }
        Ok(tool)
    }

    /// What a tool of [`Stack::tool`] wrote to standard output.
    #[must_use]
    pub fn output(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join("logs").join(format!("{name}.out"))).unwrap_or_default()
    }
}

/// Gauge of the meter.
const SERVING: &str = "tollbooth_meter_partition_serving";

impl Drop for Stack {
    fn drop(&mut self) {
        for service in self.services() {
            service.kill().ok();
        }
        for broker in self.brokers() {
            broker.kill().ok();
        }
        self.clickhouse.kill().ok();
        if !self.kept.load(Ordering::Relaxed) && !std::thread::panicking() {
            fs::remove_dir_all(&self.dir).ok();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
