//! Holds what was started, notices what ends, and ends all of it in order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::api;
use super::console::Console;
use super::instance::{Instance, RunFile};
use super::restarts::BOUND;
use super::services::{Children, Ended, Event, FLEET, Service};
use super::settings::{Listeners, RETENTION_BYTES, Settings};
use super::size::{MIB, disk_bytes, human};
use crate::clickhouse::ClickHouseOptions;
use crate::engines::Engines;
use crate::kafka::KafkaOptions;
use crate::process::{bound_log, read_from};
use crate::sys;

const POLL: Duration = Duration::from_millis(50);
/// Restoring the meter's state from a long ledger is the slowest of what is waited for.
const READY_TIMEOUT: Duration = Duration::from_secs(900);
/// How often sizes are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(30);
/// The live line begins when there is a rate to show.
const FIRST_LINE: Duration = Duration::from_secs(1);
/// How much of a log's end is quoted.
const TAIL_BYTES: u64 = 4 * 1024;

/// Somebody asked for the end.
#[derive(Debug, thiserror::Error)]
#[error("stopped on request")]
pub(crate) struct Interrupted;

/// Everything that runs, and who may be told about it.
pub(crate) struct Supervisor {
    settings: Settings,
    listeners: Listeners,
    console: Console,
    instance: Instance,
    run: RunFile,
    engines: Option<Engines>,
    children: Children,
    housekept: Instant,
}

impl Supervisor {
    pub(crate) fn new(settings: &Settings, instance: Instance) -> anyhow::Result<Self> {
        let run = RunFile::own()?;
        let supervisor = Self {
            settings: settings.clone(),
            listeners: settings.listeners(),
            console: Console::new(),
            instance,
            run,
            engines: None,
            children: Children::default(),
            housekept: Instant::now(),
        };
        supervisor.instance.write(&supervisor.run)?;
        Ok(supervisor)
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    pub(crate) fn say(&mut self, text: impl AsRef<str>) {
        self.console.say(text);
    }

    /// Starts Kafka and ClickHouse, or takes those that the environment names.
    pub(crate) fn start_engines(&mut self) -> anyhow::Result<(String, String, String)> {
        let started = Instant::now();
        let kafka = KafkaOptions {
            retention_bytes: Some(RETENTION_BYTES),
            heap_mb: 512,
            ..KafkaOptions::new(self.settings.path("kafka"))
        };
        let clickhouse = ClickHouseOptions::new(self.settings.path("clickhouse"));
        // On a thread of its own: a download or a slow start must not keep Ctrl-C waiting.
        let starting = thread::spawn(move || Engines::start_with(kafka, clickhouse));
        self.console.say("Starting Kafka and ClickHouse (fetched on first use)");
        while !starting.is_finished() {
            self.check()?;
            thread::sleep(POLL);
        }
        let engines = starting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let addresses =
            (engines.kafka.bootstrap().to_owned(), engines.clickhouse.url().to_owned(), engines.database.clone());
        let whose = |external: bool| if external { " (given from outside)" } else { "" };
        self.console.say(format!(
            "Kafka at {}{}, ClickHouse at {}{}, after {:.1} s",
            addresses.0,
            whose(Engines::external_kafka().is_some()),
            addresses.1,
            whose(Engines::external_clickhouse().is_some()),
            started.elapsed().as_secs_f64()
        ));
        self.engines = Some(engines);
        Ok(addresses)
    }

    /// Starts a service.
    pub(crate) fn start(
        &mut self,
        service: Service,
        arguments: &[String],
        variables: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        self.children.start(service, arguments, variables, &self.settings.logs())?;
        self.note()
    }

    /// Waits until a service is ready.
    pub(crate) fn wait_ready(&mut self, service: Service) -> anyhow::Result<()> {
        for (name, url) in service.operations_urls(&self.listeners) {
            self.wait(name, READY_TIMEOUT, |_| Ok(api::readiness(&url)))?;
        }
        self.keep(service);
        Ok(())
    }

    /// From now on a service is started again when it ends on its own, within a bound.
    pub(crate) fn keep(&mut self, service: Service) {
        self.children.keep(service);
    }

    /// Waits until `probe` says so, showing what it says meanwhile. A service that ends, or a stop, ends the wait.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        timeout: Duration,
        mut probe: impl FnMut(&mut Self) -> anyhow::Result<Result<(), String>>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        self.console.begin_line();
        loop {
            let missing = match probe(self)? {
                Ok(()) => return Ok(()),
                Err(missing) => missing,
            };
            // After the probe: it takes away a fleet that ended as it should.
            self.check()?;
            let elapsed = started.elapsed();
            if elapsed > timeout {
                anyhow::bail!("gave up on {what} after {} s: {missing}", timeout.as_secs());
            }
            // What takes a moment is not worth a line.
            if elapsed > Duration::from_secs(1) {
                self.console.show(format!("Waiting for {what}: {missing}"));
            }
            thread::sleep(POLL);
        }
    }

    /// Whether the fleet has done what it was started for.
    pub(crate) fn fleet_ended(&mut self) -> anyhow::Result<bool> {
        match self.children.reap(FLEET)? {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(ended)) => Err(ended.into()),
        }
    }

    /// What the fleet wrote since it was started.
    pub(crate) fn fleet_output(&self) -> String {
        self.children.output(FLEET)
    }

    /// An error when somebody asked for the end, or something ended that should not have; a service that may be started
    /// again is.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if sys::stop_signals() > 0 {
            return Err(Interrupted.into());
        }
        for event in self.children.tend(Instant::now())?? {
            self.tell(event)?;
        }
        let Some(engines) = &self.engines else { return Ok(()) };
        let died = |name, log: &Path| {
            let from = fs::metadata(log).map_or(0, |meta| meta.len().saturating_sub(TAIL_BYTES));
            let tail = read_from(log, from).unwrap_or_default();
            Ended { name, status: "the process is gone".to_owned(), log: log.to_owned(), tail }
        };
        if Engines::external_kafka().is_none() && !engines.kafka.is_running() {
            return Err(died("Kafka", &self.settings.path("kafka/kafka.log")).into());
        }
        if Engines::external_clickhouse().is_none() && !engines.clickhouse.is_running() {
            return Err(died("ClickHouse", &self.settings.path("clickhouse/clickhouse.log")).into());
        }
        Ok(())
    }

    fn tell(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Down(ended, pause) => {
                let Ended { name, status, log, .. } = ended;
                let (log, pause) = (log.display(), pause.as_secs());
                self.console.say(format!(
                    "{name} ended on its own ({status}): starting it again in {pause} s, at most {BOUND}; its log is {log}"
                ));
                self.run.note_end(name, &status);
            }
            Event::Up(name) => self.console.say(format!("{name} was started again")),
        }
        self.note()
    }

    /// Everything is up: tells the other commands.
    pub(crate) fn ready(&mut self, addresses: Vec<(String, String)>) -> anyhow::Result<()> {
        self.run.ready = true;
        self.run.addresses = addresses;
        self.note()
    }

    /// Watches until something ends or somebody asks for the end; `line` makes the live line.
    pub(crate) fn watch(&mut self, mut line: impl FnMut() -> String) -> anyhow::Result<()> {
        let mut next = Instant::now() + FIRST_LINE;
        loop {
            self.check()?;
            self.keep_house()?;
            if Instant::now() >= next {
                next = Instant::now() + self.console.interval();
                let text = line();
                self.console.show_now(text);
            }
            thread::sleep(POLL);
        }
    }

    /// Whether the folder holds as much as it may; then the fleet, which is what fills it, is not run.
    pub(crate) fn is_full(&mut self) -> bool {
        let limit = self.settings.data_mib_max.saturating_mul(MIB);
        let found = disk_bytes(&self.settings.dir);
        if found < limit {
            return false;
        }
        self.console.say(format!(
            "{} holds {}, the limit is {}: the fleet does not run. `make reset` empties the folder, \
             TOLLBOOTH_LOCAL_DATA_MIB_MAX raises the limit",
            self.settings.dir.display(),
            human(found),
            human(limit)
        ));
        true
    }

    fn keep_house(&mut self) -> anyhow::Result<()> {
        if self.housekept.elapsed() < HOUSEKEEPING {
            return Ok(());
        }
        self.housekept = Instant::now();
        for log in self.settings.growing_logs() {
            bound_log(&log).with_context(|| format!("cut {}", log.display()))?;
        }
        if self.children.has(FLEET) && self.is_full() {
            self.children.stop(FLEET)?;
            self.note()?;
        }
        Ok(())
    }

    /// Ends everything in order. A second signal ends it at once.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        end_at_once_on_another_signal();
        let console = &mut self.console;
        let mut outcome = self.children.stop_all(|name| console.show_now(format!("Stopping {name}")));
        if let Some(engines) = self.engines.take() {
            self.console.show_now("Stopping Kafka and ClickHouse");
            outcome = outcome.and(engines.stop().map_err(Into::into));
        }
        self.console.say(format!("Everything stopped after {:.1} s", started.elapsed().as_secs_f64()));
        outcome
    }

    fn note(&mut self) -> anyhow::Result<()> {
        self.run.processes = self.children.processes();
        if let Some(engines) = &self.engines {
            let pids = [("kafka", engines.kafka.pid()), ("clickhouse", engines.clickhouse.pid())];
            let running = pids.into_iter().filter_map(|(name, pid)| Some((name.to_owned(), pid?)));
            self.run.processes.splice(0..0, running);
        }
        self.instance.write(&self.run).context("write the run file")
    }
}

/// The children die with this process, so ending it is enough.
fn end_at_once_on_another_signal() {
    let before = sys::stop_signals();
    thread::spawn(move || {
        while sys::stop_signals() == before {
            thread::sleep(POLL);
        }
        eprintln!("\nSecond signal: ending at once");
        std::process::exit(130);
    });
}
