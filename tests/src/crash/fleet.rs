//! The simulated fleet, as the process that a person would run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::tell;
use crate::binaries::Binary;
use crate::process::Process;
use crate::stack::Stack;
use crate::usage::PRICE_BOOK;

const SET_UP: Duration = Duration::from_secs(120);
const AT_WORK: Duration = Duration::from_secs(60);

/// What the fleet does.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Of its random stream.
    pub seed: u64,
    /// New records a second.
    pub rate: f64,
    /// How many accounts.
    pub accounts: u32,
    /// Share of records sent once more.
    pub duplicates: f64,
    /// Share of work that fails; six of ten are tried again.
    pub failures: f64,
    /// Share of records that are faults.
    pub faults: f64,
    /// Share of booths that write straight into Kafka.
    pub kafka: f64,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { seed: 1, rate: 2_000.0, accounts: 100, duplicates: 0.03, failures: 0.03, faults: 0.005, kafka: 0.2 }
    }
}

/// The fleet of one stack.
#[derive(Debug)]
pub(super) struct Fleet<'s> {
    stack: &'s Stack,
    process: Process,
}

impl<'s> Fleet<'s> {
    /// Publishes the price book and opens the accounts.
    pub(super) fn set_up(stack: &'s Stack, options: &FleetOptions) -> anyhow::Result<Self> {
        let dir = stack.dir().join("fleet").display().to_string();
        let accounts = options.accounts.to_string();
        let common = ["--dir", &dir, "--accounts", &accounts, "--account-prefix", "crash"];
        let arguments = [&["setup"], &common[..], &["--price-book", PRICE_BOOK, "--no-keys"]].concat();
        let setup = stack.tool("fleet-setup", Binary::Fleet, &arguments)?;
        setup.start()?;
        let status = setup.wait(SET_UP)?;
        ensure!(status.success(), "setting the fleet up: {status}\n{}", setup.log_tail());

        let texts = [options.rate, options.duplicates, options.failures, options.faults, options.kafka]
            .map(|number| number.to_string());
        let [rate, duplicates, failures, faults, kafka] = &texts;
        let seed = options.seed.to_string();
        let run = [
            &["run"],
            &common[..],
            &["--profile", "stress", "--seed", &seed, "--run-id", "crash", "--rate", rate],
            &["--duplicates", duplicates, "--failures", failures, "--fault-rate", faults, "--kafka-share", kafka],
            // A request that was refused for want of a broker is repeated soon.
            &["--backoff-max-ms", "1000", "--drain", "200", "--top-up", "--status"],
        ];
        let process = stack.tool("fleet", Binary::Fleet, &run.concat())?;
        Ok(Self { stack, process })
    }

    /// Sets a variable for its start.
    pub(super) fn set(&self, variable: &str, value: &str) {
        self.process.set(variable, value);
    }

    pub(super) fn start(&self) -> anyhow::Result<()> {
        self.process.start()
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_running()
    }

    pub(super) fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Waits until its usage is posted.
    pub(super) fn wait_at_work(&self, stack: &Stack) -> anyhow::Result<()> {
        stack.wait("the fleet's usage to be posted", AT_WORK, || {
            let posted: f64 =
                stack.meters.iter().filter_map(|meter| stack.metric(meter, "tollbooth_ledger_posts_total")).sum();
            (posted > 2_000.0).then_some(())
        })
    }

    /// Asks it to end, waits until it has an answer for everything, and gives its summary.
    pub(super) fn finish(&self, patience: Duration) -> anyhow::Result<Value> {
        let status = self.process.stop(patience)?;
        ensure!(status.success(), "the fleet ended with {status}\n{}", self.process.log_tail());
        let text = self.stack.output("fleet");
        let summary: Value = serde_json::from_str(&text).with_context(|| format!("the fleet's summary: {text}"))?;
        tell(&format!("the fleet: {summary}"));
        Ok(summary)
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.stack.dir().join("fleet").join("journal")
    }

    /// What the journal expects, by kind.
    pub(super) fn expected(&self, stack: &Stack) -> anyhow::Result<Value> {
        let journal = self.journal().display().to_string();
        let counter = stack.tool("fleet-journal", Binary::Fleet, &["journal", &journal])?;
        counter.start()?;
        let status = counter.wait(SET_UP)?;
        ensure!(status.success(), "counting the journal: {status}\n{}", counter.log_tail());
        Ok(serde_json::from_str(&stack.output("fleet-journal"))?)
    }
}
