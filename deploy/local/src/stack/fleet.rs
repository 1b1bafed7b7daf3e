//! The simulated fleet: accounts and prices set up, a year of history played once, then a Saturday without end.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::demo::{ACCOUNT_ID, ACCOUNT_PREFIX};
use super::line::{Lag, Settled};
use super::services::FLEET;
use super::settings::Settings;
use super::supervisor::Supervisor;
use crate::engines::Engines;

const PRICE_BOOK: &str = include_str!("../../price-book.json");
/// First credit of an account that has no history behind it; a history brings its own.
const CREDIT: &str = "100";
/// What the fleet was promised is written down; the oldest goes beyond this.
const JOURNAL_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// What may wait on the disk while ingest is away.
const OUTBOX_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long the fleet waits for answers when it ends; below the time it is given to end.
const DRAIN_SECONDS: u32 = 5;
const SETUP_TIMEOUT: Duration = Duration::from_secs(180);
/// 200,000 events take a minute or so; a busy machine and a larger history take more.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(3 * 3600);
const LAG_TIMEOUT: Duration = Duration::from_secs(1800);

/// The fleet's commands, as this stack calls them.
pub(crate) struct Fleet {
    dir: PathBuf,
    settings: Settings,
    price_book: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Fleet {
    /// `variables` tell where ingest and query are and carry the admin key.
    pub(crate) fn new(settings: &Settings, variables: BTreeMap<String, String>) -> anyhow::Result<Self> {
        // What was played belongs to a cluster: one from outside has a folder of its own.
        let dir = match Engines::external_kafka() {
            None => settings.path("fleet"),
            Some(bootstrap) => {
                let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
                settings.path(&format!("fleet-{}", bootstrap.chars().map(plain).collect::<String>()))
            }
        };
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let price_book = settings.path("price-book.json");
        fs::write(&price_book, PRICE_BOOK).with_context(|| format!("write {}", price_book.display()))?;
        Ok(Self { dir, settings: settings.clone(), price_book, variables })
    }

    /// What the fleet writes down, for who audits.
    pub(crate) fn journal(&self) -> String {
        self.dir.join("journal").display().to_string()
    }

    fn arguments(&self, command: &str, own: &[(&str, String)]) -> Vec<String> {
        let mut arguments = vec![command.to_owned()];
        let common = [
            ("--dir", self.dir.display().to_string()),
            ("--accounts", self.settings.accounts.to_string()),
            ("--account-prefix", ACCOUNT_PREFIX.to_owned()),
            ("--population-seed", self.settings.seed.to_string()),
            ("--journal-bytes-max", JOURNAL_BYTES_MAX.to_string()),
            ("--credit-by", self.settings.credit_by().to_owned()),
        ];
        for (flag, value) in common.iter().chain(own) {
            arguments.extend([(*flag).to_owned(), value.clone()]);
        }
        arguments
    }

    fn start(&self, supervisor: &mut Supervisor, arguments: &[String]) -> anyhow::Result<()> {
        supervisor.start(FLEET, arguments, &self.variables)
    }

    /// Whether the whole history was played into this cluster.
    fn has_history(&self) -> bool {
        let marker = fs::read(self.dir.join("history.json")).unwrap_or_default();
        let marker: serde_json::Value = serde_json::from_slice(&marker).unwrap_or_default();
        marker["done"] == true
    }

    /// Publishes the price book, plays the history once, opens the accounts where there is none.
    pub(crate) fn prepare(&self, supervisor: &mut Supervisor) -> anyhow::Result<()> {
        let history = self.settings.history_events > 0;
        if history && !self.has_history() {
            self.play_history(supervisor)?;
        }
        // Credit is given once an account, whatever the history left on it.
        let credit = if history { "0" } else { CREDIT };
        let mut setup = self.arguments(
            "setup",
            &[("--price-book", self.price_book.display().to_string()), ("--credit", credit.to_owned())],
        );
        setup.push("--no-keys".to_owned());
        self.start(supervisor, &setup)?;
        supervisor.wait("prices and demo accounts", SETUP_TIMEOUT, |supervisor| {
            supervisor.fleet_ended().map(|ended| if ended { Ok(()) } else { Err("with ingest and meter".to_owned()) })
        })
    }

    fn play_history(&self, supervisor: &mut Supervisor) -> anyhow::Result<()> {
        let count = self.settings.history_events;
        supervisor.say(format!("Playing a year of history, once: {count} events through ingest, meter and sink"));
        let started = Instant::now();
        let mut arguments = self.arguments(
            "history",
            &[
                ("--price-book", self.price_book.display().to_string()),
                ("--count", count.to_string()),
                ("--seed", self.settings.seed.to_string()),
            ],
        );
        arguments.push("--status".to_owned());
        self.start(supervisor, &arguments)?;
        supervisor.wait("history", HISTORY_TIMEOUT, |supervisor| {
            let progress = progress(&supervisor.fleet_output());
            supervisor.fleet_ended().map(|ended| if ended { Ok(()) } else { Err(progress) })
        })?;
        let sent = started.elapsed();
        // Played is not yet seen: charts come from ClickHouse.
        let (mut settled, mut seen) = (Settled::default(), sent);
        supervisor.wait("history in ClickHouse", LAG_TIMEOUT, |supervisor| {
            let lag = Lag::now(supervisor.listeners());
            let over = settled.see(lag, Instant::now());
            seen = over.map_or(seen, |over| over.duration_since(started));
            Ok(if over.is_some() { Ok(()) } else { Err(lag.to_string()) })
        })?;
        let (sent, seen) = (sent.as_secs_f64(), seen.as_secs_f64());
        supervisor.say(format!("History played in {sent:.0} s, in ClickHouse after {seen:.0} s"));
        Ok(())
    }

    /// Starts the endless Saturday; whether one was started.
    pub(crate) fn run(&self, supervisor: &mut Supervisor) -> anyhow::Result<bool> {
        if self.settings.rate == 0 {
            return Ok(false);
        }
        let mut arguments = self.arguments(
            "run",
            &[
                ("--profile", "saturday".to_owned()),
                ("--rate", self.settings.rate.to_string()),
                ("--seed", self.settings.seed.to_string()),
                ("--gateways", "1".to_owned()),
                ("--outbox-bytes-max", OUTBOX_BYTES_MAX.to_string()),
                ("--drain", DRAIN_SECONDS.to_string()),
            ],
        );
        arguments.extend(["--top-up", "--name-parties"].map(str::to_owned));
        self.start(supervisor, &arguments)?;
        supervisor.keep(FLEET);
        supervisor.say(format!(
            "A simulated fleet of {} accounts reports {} events/s; {ACCOUNT_ID} is the one to look at",
            self.settings.accounts, self.settings.rate
        ));
        Ok(true)
    }
}

/// The newest line of progress in the fleet's output.
fn progress(output: &str) -> String {
    let newest = output.lines().rev().find_map(|line| line.strip_prefix("history: "));
    newest.unwrap_or("preparing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_progress_counts() {
        let output = "{\"level\":\"WARN\"}\nhistory: 10 of 20 records, 1 s\nhistory: 20 of 20 records, 2 s\nother\n";
        assert_eq!(progress(output), "20 of 20 records, 2 s");
        assert_eq!(progress(""), "preparing");
    }

    #[test]
    fn the_price_book_is_a_document_with_a_version() {
        let book: serde_json::Value = serde_json::from_str(PRICE_BOOK).unwrap();
        assert!(book["version"].is_u64());
    }
}
