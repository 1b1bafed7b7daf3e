//! The crash test: a fleet and a clerk at work, everything killed in a random but repeatable order, then the audit.

mod clerk;
pub mod cluster;
mod faults;
mod fleet;
mod havoc;
pub mod hour;
mod letters;
mod plan;
mod repricer;
mod rot;
mod scene;
mod stores;
mod summary;

use std::io::Write as _;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::binaries::Binary;
use crate::stack::{Stack, StackOptions};

pub use clerk::Moved;
pub use fleet::FleetOptions;
pub use letters::Letters;
pub use plan::{
    AFTER_INSERT, Act, BEFORE_INSERT, Copies, Form, IN_TRANSACTION, PAYMENT_TAKEN, Plan, REPRICING_CHUNK, Step,
};
use scene::Scene;
pub use scene::{Disk, Fault, Link};
pub use stores::Stores;
pub use summary::Summary;

/// The fleet may have a backlog in its outboxes after the last kill.
const DRAIN: Duration = Duration::from_secs(240);
/// The meters and the sink may have one after that.
const SETTLE: Duration = Duration::from_secs(120);
const AUDIT: Duration = Duration::from_secs(240);

/// How a crash test is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Short or long.
    pub form: Form,
    /// Decides what is killed when.
    pub seed: u64,
    /// Which of the meters keep their state in stores: one of them by default, by the seed's parity.
    pub stores: [bool; 2],
    /// What the fleet does.
    pub fleet: FleetOptions,
}

impl Options {
    /// From the environment: `TOLLBOOTH_CRASH=long` or `broker`, `TOLLBOOTH_CRASH_SEED`, `TOLLBOOTH_CRASH_RATE`,
    /// `TOLLBOOTH_CRASH_STORE=1`.
    ///
    /// # Errors
    /// When a value is no number.
    pub fn from_environment() -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let form = match set("TOLLBOOTH_CRASH").as_deref() {
            Some("long") => Form::Long,
            Some("broker") => Form::Broker,
            Some("hour") => Form::Round,
            Some("short") | None => Form::Short,
            Some(other) => bail!("TOLLBOOTH_CRASH is {other:?}, not short, long, broker or hour"),
        };
        let seed = match set("TOLLBOOTH_CRASH_SEED") {
            Some(text) => text.parse().context("TOLLBOOTH_CRASH_SEED")?,
            None => u64::from(rand::random::<u32>()),
        };
        let mut fleet = FleetOptions { seed, ..FleetOptions::default() };
        if let Some(text) = set("TOLLBOOTH_CRASH_RATE") {
            fleet.rate = text.parse().context("TOLLBOOTH_CRASH_RATE")?;
        }
        let stores = match set("TOLLBOOTH_CRASH_STORE").as_deref() {
            Some("1") => [true; 2],
            Some(other) => bail!("TOLLBOOTH_CRASH_STORE is {other:?}, not 1"),
            None => Self::one_with_stores(seed),
        };
        Ok(Self { form, seed, stores, fleet })
    }

    const fn one_with_stores(seed: u64) -> [bool; 2] {
        [seed.is_multiple_of(2), !seed.is_multiple_of(2)]
    }
}

/// Tells the person who waits; also from under a test runner that captures what is printed.
pub(crate) fn tell(line: &str) {
    // Nobody may be listening.
    writeln!(std::io::stderr(), "crash test: {line}").ok();
}

/// Runs it. Whatever is wrong at the end stands in the summary.
///
/// # Errors
/// When the test itself cannot be carried out.
pub fn run(options: &Options) -> anyhow::Result<Summary> {
    let plan = Plan::new(options.form, options.seed);
    tell(&format!("seed {}, {} acts (repeat it with TOLLBOOTH_CRASH_SEED={0})", options.seed, plan.acts.len()));
    let started = Instant::now();
    let stack = Stack::start(&StackOptions { name: "crash", kafka_heap_mb: 768, stores: options.stores })?;
    let outcome = play(&stack, options, &plan, None, started);
    if !matches!(&outcome, Ok(summary) if summary.is_clean()) {
        look_into(&stack);
    }
    outcome
}

/// For somebody who wants to know why.
fn look_into(stack: &Stack) {
    tell(&stack.logs());
    // What stands still is most often behind one that nobody ends.
    tell(&format!("open transactions:\n{}", stack.kafka.transactions().unwrap_or_else(|error| error.to_string())));
    stack.keep();
}

fn play(
    stack: &Stack,
    options: &Options,
    plan: &Plan,
    scene: Option<&Scene>,
    started: Instant,
) -> anyhow::Result<Summary> {
    let fleet = fleet::Fleet::set_up(stack, &options.fleet)?;
    if let Some(scene) = scene {
        scene.bring_in(&fleet);
    }
    let mut clerk = clerk::Clerk::set_up(stack)?;
    fleet.start()?;
    fleet.wait_at_work(stack)?;
    let mut summary = Summary { seed: options.seed, rate_wanted: options.fleet.rate, ..Summary::default() };
    summary.not_done = scene.map(Scene::missing).unwrap_or_default();

    let ((), ends) = stack.managed(|| {
        let worked = beside(|over| clerk.work(over), || havoc::wreak(stack, plan, scene, &fleet, &mut summary));
        for error in [worked.0.err(), worked.1.err()].into_iter().flatten() {
            summary.finding(&error);
        }
        tell("the last act is over; the fleet drains");
        settle(stack, &fleet, &mut summary)?;
        match clerk.settle() {
            Ok(moved) => summary.moved = moved,
            Err(error) => summary.finding(&error),
        }
        // What the clerk gave back is money, too: the audit waits for it.
        let settled = stack.wait_metered(SETTLE).and_then(|()| stack.wait_sunk(SETTLE));
        settled.inspect_err(|error| summary.finding(error)).ok();
        Ok(())
    })?;
    summary.left_by_themselves = ends;
    stores::check(stack, &mut summary);
    audit(stack, &fleet, &mut summary)?;
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// Does `main`, and `side` on a thread of its own until `main` has ended.
fn beside<S: Send, M>(side: impl FnOnce(&dyn Fn() -> bool) -> S + Send, main: impl FnOnce() -> M) -> (S, M) {
    let over = AtomicBool::new(false);
    let (sided, done) = thread::scope(|scope| {
        let siding = scope.spawn(|| side(&|| over.load(Ordering::Relaxed)));
        // Caught, or the scope would wait for ever for a side that nobody ends.
        let done = panic::catch_unwind(panic::AssertUnwindSafe(main));
        over.store(true, Ordering::Relaxed);
        (siding.join(), done)
    });
    let done = done.unwrap_or_else(|panic| panic::resume_unwind(panic));
    (sided.unwrap_or_else(|panic| panic::resume_unwind(panic)), done)
}

/// Waits until all that was sent has been acknowledged, metered and sunk. What does not come to rest is a finding: the
/// audit says more about it.
fn settle(stack: &Stack, fleet: &fleet::Fleet<'_>, summary: &mut Summary) -> anyhow::Result<()> {
    let healed = stack.heal();
    summary.fleet = fleet.finish(DRAIN)?;
    if summary.fleet["drained"] != Value::Bool(true) {
        summary.findings.push("the fleet's outboxes were not drained".to_owned());
    }
    let settled = healed.and_then(|()| stack.wait_metered(SETTLE)).and_then(|()| stack.wait_sunk(SETTLE));
    if let Err(error) = settled {
        summary.finding(&error);
    }
    Ok(())
}

/// `tollbooth-meter verify` over ledger, ClickHouse, dead letters and the fleet's journal.
fn audit(stack: &Stack, fleet: &fleet::Fleet<'_>, summary: &mut Summary) -> anyhow::Result<()> {
    audit_beside(stack, fleet, summary, || Ok(()))
}

/// As [`audit`], and does `after` before it looks at what remains: what is to be down only while it reads is up again.
fn audit_beside(
    stack: &Stack,
    fleet: &fleet::Fleet<'_>,
    summary: &mut Summary,
    after: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let journal = fleet.journal().display().to_string();
    let verify = stack.tool("verify", Binary::Audit, &["verify", "--journal", &journal, "--json"])?;
    verify.start()?;
    let ended = verify.wait(AUDIT);
    after()?;
    let status = ended?;
    let text = stack.output("verify");
    let report: Value = serde_json::from_str(&text).with_context(|| format!("{text}\n{}", verify.log_tail()))?;
    ensure!(report["ok"].is_boolean(), "the audit's report has no verdict: {report}");
    if !status.success() || report["ok"] != Value::Bool(true) {
        summary.findings.push(format!("the audit ended with {status}"));
    }
    summary.audit = report;
    summary.expected = fleet.expected(stack)?;
    let faults = letters::Faults::read(&fleet.journal())?;
    let (sums, findings) = faults.compare(&stack.log.dead_letters()?);
    summary.dead_letters = sums;
    summary.findings.extend(findings);
    accidents(stack, summary)
}

/// That the accidents inside transactions were some: each left entries that the broker has and nobody committed.
fn accidents(stack: &Stack, summary: &mut Summary) -> anyhow::Result<()> {
    let uncommitted = stack.log.ledger_uncommitted()?;
    summary.uncommitted = uncommitted.len();
    for span in &summary.in_transaction {
        if !uncommitted.iter().any(|at_ms| span.contains(at_ms)) {
            summary.findings.push("an accident inside a transaction left nothing uncommitted in the ledger".to_owned());
        }
    }
    Ok(())
}
