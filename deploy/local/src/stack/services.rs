//! The services' processes: which binaries, told what, started and stopped in which order.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::observe::system_program;
use super::restarts::{BOUND, Restarts};
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
/// Buys what accounts recharge by themselves.
pub(crate) const EFFECTS: Service = Service {
    name: "effects",
    program: "tollbooth-ingest",
    args: &["effects"],
    operations: &["effects operations"],
    stop_timeout: Duration::from_secs(10),
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

/// The system's own; it watches the others.
pub(crate) const PROMETHEUS: Service = Service {
    name: "prometheus",
    program: "prometheus",
    args: &[],
    operations: &[],
    stop_timeout: Duration::from_secs(10),
};

/// In this order they end: nobody loses the one it still talks to. Prometheus first, or it would call the rest down.
const STOP_ORDER: [Service; 6] = [PROMETHEUS, FLEET, INGEST, EFFECTS, METER, QUERY];

impl Service {
    /// Where its readiness is asked for, with the listener's name.
    pub(crate) fn operations_urls(&self, listeners: &Listeners) -> Vec<(&'static str, String)> {
        self.operations.iter().map(|name| (*name, listeners.url(name))).collect()
    }
}

/// What was started, and what waits to be started again.
#[derive(Debug, Default)]
pub(crate) struct Children(Vec<Child>);

#[derive(Debug)]
struct Child {
    service: Service,
    recipe: Recipe,
    state: State,
    /// `None` where its end is the end of the stack.
    restarts: Option<Restarts>,
}

#[derive(Debug)]
enum State {
    Running(Process),
    /// Ended; when it is started again.
    Waiting(Instant),
}

/// How a service is started, each time anew.
#[derive(Debug)]
struct Recipe {
    program: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    log: PathBuf,
}

impl Recipe {
    fn spawn(&self, service: Service) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.program);
        command.args(service.args).args(&self.arguments).envs(&self.variables);
        Ok(Process::spawn(service.name, command, &self.log)?)
    }
}

/// A service that ended on its own.
#[derive(Debug, thiserror::Error)]
#[error("{name} ended on its own ({status}); the end of {}:\n{tail}", log.display())]
pub(crate) struct Ended {
    pub(crate) name: &'static str,
    pub(crate) status: String,
    pub(crate) log: PathBuf,
    pub(crate) tail: String,
}

impl Ended {
    fn of(service: Service, process: &Process, status: ExitStatus) -> Self {
        let (status, log) = (status.to_string(), process.log().to_owned());
        Self { name: service.name, status, log, tail: process.log_tail() }
    }
}

/// What happened to a service that is kept running.
#[derive(Debug)]
pub(crate) enum Event {
    /// It ended, and is started again after this pause.
    Down(Ended, Duration),
    /// It was started again.
    Up(&'static str),
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
        self.start_as(
            service,
            Recipe {
                program: program(service.program)?,
                arguments: arguments.to_vec(),
                variables: variables.clone(),
                log: log_file(logs, service.name),
            },
        )
    }

    fn start_as(&mut self, service: Service, recipe: Recipe) -> anyhow::Result<()> {
        let state = State::Running(recipe.spawn(service)?);
        self.0.push(Child { service, recipe, state, restarts: None });
        Ok(())
    }

    /// From now on a service is started again when it ends. Before that its end is told: what cannot even start would
    /// not start the next time.
    pub(crate) fn keep(&mut self, service: Service) {
        for child in self.0.iter_mut().filter(|child| child.service == service && child.restarts.is_none()) {
            child.restarts = Some(Restarts::default());
        }
    }

    /// Whether it was started and has not been taken away since.
    pub(crate) fn has(&self, service: Service) -> bool {
        self.0.iter().any(|child| child.service == service)
    }

    /// Looks who has ended, and starts again what is due. The error is the end of one that is not started again.
    pub(crate) fn tend(&mut self, now: Instant) -> anyhow::Result<Result<Vec<Event>, Ended>> {
        let mut events = Vec::new();
        for child in &mut self.0 {
            match &mut child.state {
                State::Running(process) => {
                    let Some(status) = process.try_wait()? else { continue };
                    let mut ended = Ended::of(child.service, process, status);
                    let Some(restarts) = &mut child.restarts else { return Ok(Err(ended)) };
                    let Some(pause) = restarts.next(now) else {
                        ended.status = format!("{}, after it was started again {BOUND}", ended.status);
                        return Ok(Err(ended));
                    };
                    child.state = State::Waiting(now + pause);
                    events.push(Event::Down(ended, pause));
                }
                State::Waiting(due) if *due <= now => {
                    child.state = State::Running(child.recipe.spawn(child.service)?);
                    events.push(Event::Up(child.service.name));
                }
                State::Waiting(_) => {}
            }
        }
        Ok(Ok(events))
    }

    /// Takes a service that has ended away; whether it ended well, or who ended badly. `None` while it runs.
    pub(crate) fn reap(&mut self, service: Service) -> anyhow::Result<Option<Result<(), Ended>>> {
        let Some(index) = self.0.iter().position(|child| child.service == service) else { return Ok(Some(Ok(()))) };
        let State::Running(process) = &mut self.0[index].state else { return Ok(None) };
        let Some(status) = process.try_wait()? else { return Ok(None) };
        let ended = Ended::of(service, process, status);
        self.0.remove(index);
        Ok(Some(if status.success() { Ok(()) } else { Err(ended) }))
    }

    fn running(&self) -> impl Iterator<Item = (Service, &Process)> {
        self.0.iter().filter_map(|child| match &child.state {
            State::Running(process) => Some((child.service, process)),
            State::Waiting(_) => None,
        })
    }

    /// What one of them has written since it was started.
    pub(crate) fn output(&self, service: Service) -> String {
        let process = self.running().find(|(running, _)| *running == service);
        process.map(|(_, process)| process.log_since_start()).unwrap_or_default()
    }

    /// Names and process ids.
    pub(crate) fn processes(&self) -> Vec<(String, u32)> {
        self.running().map(|(service, process)| (service.name.to_owned(), process.pid())).collect()
    }

    /// Ends one service in order.
    pub(crate) fn stop(&mut self, service: Service) -> anyhow::Result<()> {
        let Some(index) = self.0.iter().position(|child| child.service == service) else { return Ok(()) };
        match self.0.remove(index).state {
            State::Running(process) => Ok(process.stop(Stop::Terminate, service.stop_timeout)?),
            State::Waiting(_) => Ok(()),
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

/// A program of this project: beside our own, or one above for a test in `target/*/deps`. Prometheus is the system's.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    if name == PROMETHEUS.program {
        return system_program(name).with_context(|| format!("{name} is not installed"));
    }
    let own = env::current_exe().context("cannot find this executable")?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    let Some(found) = found else {
        bail!("{name} was not found beside {}: build it first (`make up` does)", own.display());
    };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A service that runs a shell command.
    const SHELL: Service =
        Service { name: "shell", program: "sh", args: &["-c"], operations: &[], stop_timeout: Duration::from_secs(10) };

    fn started(dir: &Path, script: &str) -> Children {
        let mut children = Children::default();
        let (program, arguments) = (PathBuf::from("/bin/sh"), vec![script.to_owned()]);
        let recipe = Recipe { program, arguments, variables: BTreeMap::new(), log: dir.join("shell.log") };
        children.start_as(SHELL, recipe).unwrap();
        children
    }

    /// The next thing that happens, at a time that stands still.
    fn next(children: &mut Children, now: Instant) -> Result<Event, Ended> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let event = children.tend(now).unwrap().map(|mut events| events.pop()).transpose();
            if let Some(event) = event {
                return event;
            }
            assert!(Instant::now() < deadline, "nothing happened");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_service_that_ends_before_it_was_ready_is_told_and_not_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut children = started(dir.path(), "echo no such setting; exit 3");
        let ended = next(&mut children, Instant::now()).unwrap_err().to_string();
        assert!(ended.contains("exit status: 3") && ended.contains("no such setting"), "{ended}");
    }

    #[test]
    fn a_service_that_is_kept_is_started_again_with_a_bound() {
        // given a service that was ready and ends, whenever it is started
        let dir = tempfile::tempdir().unwrap();
        let mut children = started(dir.path(), "echo started; exit 3");
        children.keep(SHELL);

        // then it comes back three times, after a pause in which it is down
        let mut now = Instant::now();
        for _ in 0..3 {
            let Event::Down(ended, pause) = next(&mut children, now).unwrap() else { panic!("it did not end") };
            assert_eq!((ended.name, ended.status.as_str()), ("shell", "exit status: 3"));
            assert!(children.has(SHELL) && children.processes().is_empty());
            assert!(children.tend(now + pause / 2).unwrap().unwrap().is_empty());
            now += pause;
            assert!(matches!(next(&mut children, now), Ok(Event::Up("shell"))));
        }

        // and its fourth end is the end
        let ended = next(&mut children, now).unwrap_err().to_string();
        assert!(ended.contains(BOUND), "{ended}");
        assert_eq!(std::fs::read_to_string(dir.path().join("shell.log")).unwrap(), "started\n".repeat(4));
    }

    #[test]
    fn what_waits_to_be_started_again_can_be_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let mut children = started(dir.path(), "exit 3");
        children.keep(SHELL);
        let now = Instant::now();
        let Ok(Event::Down(_, pause)) = next(&mut children, now) else { panic!("it did not end") };
        children.stop(SHELL).unwrap();
        assert!(!children.has(SHELL));
        assert!(children.tend(now + pause).unwrap().unwrap().is_empty());
    }
}
