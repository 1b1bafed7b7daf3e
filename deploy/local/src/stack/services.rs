//! The services' processes: which binaries, told what, started and stopped in which order.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use super::settings::{Listeners, log_file};
use crate::process::{Process, Stop};

/// A service of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Service {
    /// Who, for messages and for the log's name.
    pub(crate) name: &'static str,
    /// Its program, beside ours.
    program: &'static str,
    /// Its arguments.
    args: &'static [&'static str],
    /// Listeners that tell whether it is ready.
    pub(crate) operations: &'static [&'static str],
    /// How long it may take to end.
    stop_timeout: Duration,
}

pub(crate) const INGEST: Service = Service {
    name: "ingest",
    program: "tollbooth-ingest",
    args: &["serve"],
    operations: &["ingest operations"],
    stop_timeout: Duration::from_secs(20),
};
pub(crate) const METER: Service = Service {
    name: "meter",
    program: "tollbooth-meter",
    args: &["run"],
    operations: &["meter operations", "sink operations"],
    stop_timeout: Duration::from_secs(40),
};
pub(crate) const QUERY: Service = Service {
    name: "query",
    program: "tollbooth-query",
    args: &["serve"],
    operations: &["query operations"],
    stop_timeout: Duration::from_secs(10),
};
/// The simulator; its arguments depend on what it is to do.
pub(crate) const FLEET: Service = Service {
    name: "fleet",
    program: "tollbooth-fleet",
    args: &[],
    operations: &[],
    stop_timeout: Duration::from_secs(10),
};

/// In this order they end: nobody loses the one it still talks to.
const STOP_ORDER: [Service; 4] = [FLEET, INGEST, METER, QUERY];

impl Service {
    /// Where its readiness is asked for, with the listener's name.
    pub(crate) fn operations_urls(&self, listeners: &Listeners) -> Vec<(&'static str, String)> {
        self.operations.iter().map(|name| (*name, listeners.url(name))).collect()
    }
}

/// What runs.
#[derive(Debug, Default)]
pub(crate) struct Children(Vec<(Service, Process)>);

/// A service that ended on its own.
#[derive(Debug, thiserror::Error)]
#[error("{name} ended on its own ({status}); the end of {}:\n{tail}", log.display())]
pub(crate) struct Ended {
    pub(crate) name: &'static str,
    pub(crate) status: String,
    pub(crate) log: PathBuf,
    pub(crate) tail: String,
}

impl Children {
    /// Starts a service with `arguments` after its own, and with `variables` on top of our environment.
    pub(crate) fn start(
        &mut self,
        service: Service,
        arguments: &[String],
        variables: &BTreeMap<String, String>,
        logs: &Path,
    ) -> anyhow::Result<()> {
        let mut command = Command::new(program(service.program)?);
        command.args(service.args).args(arguments).envs(variables);
        let process = Process::spawn(service.name, command, &log_file(logs, service.name))?;
        self.0.push((service, process));
        Ok(())
    }

    /// Whether it was started and has not been taken away since.
    pub(crate) fn has(&self, service: Service) -> bool {
        self.0.iter().any(|(running, _)| *running == service)
    }

    /// The first service that has ended, if one has.
    pub(crate) fn check(&mut self) -> anyhow::Result<Result<(), Ended>> {
        for (service, process) in &mut self.0 {
            if let Some(status) = process.try_wait()? {
                return Ok(Err(Ended {
                    name: service.name,
                    status: status.to_string(),
                    log: process.log().to_owned(),
                    tail: process.log_tail(),
                }));
            }
        }
        Ok(Ok(()))
    }

    /// Takes a service that has ended away; whether it ended well, or who ended badly. `None` while it runs.
    pub(crate) fn reap(&mut self, service: Service) -> anyhow::Result<Option<Result<(), Ended>>> {
        let Some(index) = self.0.iter().position(|(running, _)| *running == service) else { return Ok(Some(Ok(()))) };
        let (_, process) = &mut self.0[index];
        let Some(status) = process.try_wait()? else { return Ok(None) };
        let (_, process) = self.0.remove(index);
        if status.success() {
            return Ok(Some(Ok(())));
        }
        let (status, log) = (status.to_string(), process.log().to_owned());
        Ok(Some(Err(Ended { name: service.name, status, log, tail: process.log_tail() })))
    }

    /// What one of them has written since it was started.
    pub(crate) fn output(&self, service: Service) -> String {
        let process = self.0.iter().find(|(running, _)| *running == service);
        process.map(|(_, process)| process.log_since_start()).unwrap_or_default()
    }

    /// Names and process ids.
    pub(crate) fn processes(&self) -> Vec<(String, u32)> {
        self.0.iter().map(|(service, process)| (service.name.to_owned(), process.pid())).collect()
    }

    /// Ends one service in order.
    pub(crate) fn stop(&mut self, service: Service) -> anyhow::Result<()> {
        match self.0.iter().position(|(running, _)| *running == service) {
            None => Ok(()),
            Some(index) => Ok(self.0.remove(index).1.stop(Stop::Terminate, service.stop_timeout)?),
        }
    }

    /// Ends them one after the other, told about before each; goes on where one cannot be ended.
    pub(crate) fn stop_all(&mut self, mut about: impl FnMut(&str)) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for service in STOP_ORDER {
            if self.has(service) {
                about(service.name);
                outcome = outcome.and(self.stop(service));
            }
        }
        outcome
    }
}

/// A program of this project: beside our own, or one above for a test in `target/*/deps`.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("cannot find this executable")?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    let Some(found) = found else {
        bail!("{name} was not found beside {}: build it first (`make up` does)", own.display());
    };
    Ok(found)
}
