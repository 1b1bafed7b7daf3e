//! Figures: printed as a table, written as JSON.

use std::path::Path;

use serde::Serialize;

/// One figure over its runs.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    id: &'static str,
    unit: &'static str,
    min: f64,
    median: f64,
    max: f64,
    conditions: String,
}

/// All figures of a run, with what they were measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    started_at: String,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: machine(),
            commit: commit(),
            started_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            figures: Vec::new(),
        }
    }

    /// Adds a figure from its runs and prints it.
    pub(crate) fn add(&mut self, id: &'static str, unit: &'static str, runs: &[f64], conditions: impl Into<String>) {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return };
        let median = sorted[sorted.len() / 2];
        let figure = Figure { id, unit, min: *min, median, max: *max, conditions: conditions.into() };
        println!("{}", line(&figure));
        self.figures.push(figure);
    }

    pub(crate) fn print(&self) {
        println!("\n{} · commit {}", self.machine, self.commit);
        println!("{:<22} {:>14} {:>14} {:>14}  {:<10} conditions", "id", "min", "median", "max", "unit");
        for figure in &self.figures {
            println!("{}", line(figure));
        }
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        println!("written to {}", path.display());
        Ok(())
    }
}

fn line(figure: &Figure) -> String {
    let Figure { id, unit, min, median, max, conditions } = figure;
    let number = |value: &f64| if *value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    format!("{id:<22} {:>14} {:>14} {:>14}  {unit:<10} {conditions}", number(min), number(median), number(max))
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    format!("{cores} cores, {}, memory {}", read("/proc/cpuinfo", "model name"), read("/proc/meminfo", "MemTotal"))
}

fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
