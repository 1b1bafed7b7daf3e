//! What a crash test did and found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::clerk::Moved;
use super::havoc::act_name;
use super::letters::Letters;
use super::plan::Act;
use super::stores::Stores;

/// The outcome.
#[derive(Debug, Default)]
pub struct Summary {
    /// Decided the order.
    pub seed: u64,
    /// New records a second that the fleet was to make.
    pub rate_wanted: f64,
    /// How often each act was done.
    pub done: BTreeMap<String, u32>,
    /// When meters were killed or stopped inside an open transaction, milliseconds since the epoch.
    pub in_transaction: Vec<RangeInclusive<i64>>,
    /// Records of the ledger that no transaction committed.
    pub uncommitted: usize,
    /// What became of stores that were spoilt.
    pub stores: Stores,
    /// What was hit by faults that hit something more or less: connections, bytes, words of those who were refused.
    pub hits: BTreeMap<String, u64>,
    /// Kinds of acts that this machine does not allow, and why.
    pub not_done: BTreeSet<String>,
    /// Services that ended without being killed from outside, and were started again.
    pub left_by_themselves: BTreeMap<String, u32>,
    /// The fleet's own summary.
    pub fleet: Value,
    /// What its journal expects.
    pub expected: Value,
    /// What the clerk did.
    pub moved: Moved,
    /// Dead letters and what they are of, by reason.
    pub dead_letters: BTreeMap<String, Letters>,
    /// Report of the audit.
    pub audit: Value,
    /// What is wrong beside it.
    pub findings: Vec<String>,
    /// Of the whole test.
    pub elapsed: Duration,
}

impl Summary {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.audit["ok"] == Value::Bool(true)
    }

    /// Notes what could not be carried out: the cause, without the logs that stand around it.
    pub(super) fn finding(&mut self, error: &anyhow::Error) {
        let outermost = error.to_string();
        let lines = [outermost.as_str(), &error.root_cause().to_string()].map(|text| first_line(text).to_owned());
        self.findings.extend(lines.into_iter().filter(|line| !line.starts_with("---")));
    }

    /// Adds to what was hit.
    pub(super) fn hit(&mut self, what: &str, count: impl TryInto<u64>) {
        *self.hits.entry(what.to_owned()).or_default() += count.try_into().unwrap_or_default();
    }

    /// How often an act was done.
    #[must_use]
    pub fn count(&self, act: Act) -> u32 {
        self.done.get(&act_name(act)).copied().unwrap_or_default()
    }

    /// SIGKILLs, from outside and at fault points.
    #[must_use]
    pub fn kills(&self) -> u32 {
        self.done.iter().filter(|(name, _)| name.starts_with("kill")).map(|(_, count)| count).sum()
    }

    /// New records a second while the fleet was at work, outages included.
    #[must_use]
    pub fn rate_made(&self) -> f64 {
        let elapsed = self.fleet["elapsed_s"].as_f64().filter(|elapsed| *elapsed > 0.0);
        self.fleet["planned"].as_f64().unwrap_or_default() / elapsed.unwrap_or(1.0)
    }

    /// Acknowledgements a second in the same time.
    #[must_use]
    pub fn rate_acknowledged(&self) -> f64 {
        self.fleet["acknowledged_per_s"].as_f64().unwrap_or_default()
    }

    /// A number of the audit.
    #[must_use]
    pub fn audited(&self, group: &str, name: &str) -> u64 {
        self.audit[group][name].as_u64().unwrap_or_default()
    }

    /// Defects that the audit counted, by kind.
    #[must_use]
    pub fn defects(&self) -> Vec<(String, u64)> {
        let defects = self.audit["defects"].as_object().into_iter().flatten();
        let counts = defects.map(|(name, count)| (name.clone(), count.as_u64().unwrap_or_default()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Records that the journal planned with such an outcome, or for such a dead letter.
    #[must_use]
    pub fn expected(&self, outcome: &str) -> u64 {
        self.expected["expected"][outcome].as_u64().unwrap_or_default()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crash test, seed {}: {} kills in {:.0} s", self.seed, self.kills(), self.elapsed.as_secs_f64())?;
        for (name, count) in &self.done {
            writeln!(f, "  {name:<28}{count:>10}")?;
        }
        for (what, count) in &self.hits {
            writeln!(f, "  hit: {what:<62}{count:>10}")?;
        }
        for what in &self.not_done {
            writeln!(f, "  NOT DONE: {what}")?;
        }
        for (name, count) in &self.left_by_themselves {
            writeln!(f, "  ended: {name:<40}{count:>3}")?;
        }
        for (name, count) in self.stores.met() {
            writeln!(f, "  store {name:<40}{count:>3}")?;
        }
        let fleet = |name: &str| self.fleet[name].to_string();
        writeln!(f, "  {:<28}{:>10}", "events", fleet("planned"))?;
        writeln!(f, "  {:<28}{:>10}", "sent again by the fleet", fleet("duplicates"))?;
        writeln!(f, "  {:<28}{:>10}", "acknowledged", fleet("acknowledged"))?;
        writeln!(f, "  {:<28}{:>10}", "requests repeated", fleet("retries"))?;
        writeln!(f, "  {:<28}{:>10.0} (of {:.0} wanted)", "events a second", self.rate_made(), self.rate_wanted)?;
        writeln!(f, "  {:<28}{:>10.0} (outages included)", "acknowledged a second", self.rate_acknowledged())?;
        writeln!(f, "  {:<28}{:>10}", "ledger records uncommitted", self.uncommitted)?;
        writeln!(f, "  {:<28}{:>10}", "entries", self.audited("checked", "entries"))?;
        writeln!(f, "  {:<28}{:>10}", "duplicates met", self.audited("checked", "duplicates"))?;
        writeln!(f, "  money moved by the clerk, and its books:")?;
        writeln!(f, "{}", self.moved)?;
        writeln!(f, "  dead letters: faults / with a letter, and further ones of records that were sent again")?;
        for (reason, Letters { injected, found, again }) in &self.dead_letters {
            writeln!(f, "    {reason:<26}{injected:>10} / {found}, {again}")?;
        }
        for (name, count) in self.defects() {
            writeln!(f, "  DEFECT {name:<21}{count:>10}")?;
        }
        for example in self.audit["examples"].as_array().into_iter().flatten().take(12) {
            writeln!(f, "    {}: {}", example["kind"], example["detail"])?;
        }
        for finding in &self.findings {
            writeln!(f, "  FOUND {finding}")?;
        }
        let zero = |name: &str| self.audited("defects", name);
        write!(
            f,
            "  lost {}, doubled {}, drift {}: {}",
            zero("lost"),
            zero("doubled"),
            self.audit["drift"].as_str().unwrap_or("unknown"),
            if self.is_clean() { "clean" } else { "NOT clean" }
        )
    }
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.is_empty()).unwrap_or_default()
}
