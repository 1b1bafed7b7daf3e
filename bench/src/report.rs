//! Figures: printed as a table, written as JSON.

use std::path::Path;

use serde::Serialize;

use crate::ratio::{self, Ratio};

/// One figure over its runs.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    id: &'static str,
    unit: &'static str,
    min: f64,
    median: f64,
    max: f64,
    /// Where a rate was offered: whether it was held in every run. Without it the figure says nothing about that rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<bool>,
    conditions: String,
}

/// All figures of a run, with what they were measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    started_at: String,
    figures: Vec<Figure>,
    /// Figures of this run beside those of others.
    ratios: Vec<Ratio>,
    /// Groups without figures, or without all of them, and why.
    failed: Vec<String>,
}

impl Report {
    /// An empty one for measurements with the engines' data in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            machine: machine(dir),
            commit: commit(),
            started_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            figures: Vec::new(),
            ratios: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Adds a figure from its runs and prints it.
    pub(crate) fn add(&mut self, id: &'static str, unit: &'static str, runs: &[f64], conditions: impl Into<String>) {
        self.push(id, unit, runs, None, &conditions.into());
    }

    /// Adds a figure that was measured at an offered rate.
    pub(crate) fn add_at_rate(
        &mut self,
        id: &'static str,
        unit: &'static str,
        runs: &[f64],
        held: bool,
        conditions: impl Into<String>,
    ) {
        self.push(id, unit, runs, Some(held), &conditions.into());
    }

    fn push(&mut self, id: &'static str, unit: &'static str, runs: &[f64], held: Option<bool>, conditions: &str) {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return };
        let count = sorted.len();
        // Of an even count the middle of both middle ones, or two runs would show the better of them.
        let median = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
        let conditions = format!("{conditions}; {count} run{}", if count == 1 { "" } else { "s" });
        let figure = Figure { id, unit, min: *min, median, max: *max, held, conditions };
        println!("{}", line(&figure));
        self.figures.push(figure);
        self.ratios = ratio::all(|id| self.figures.iter().find(|figure| figure.id == id).map(|figure| figure.median));
    }

    /// Notes that a group could not be measured.
    pub(crate) fn failed(&mut self, group: &str, error: &anyhow::Error) {
        println!("{group} FAILED: {error:#}");
        self.failed.push(format!("{group}: {error:#}"));
    }

    /// What keeps this from being a success.
    pub(crate) fn problems(&self) -> Vec<String> {
        let not_held = self.figures.iter().filter(|figure| figure.held == Some(false));
        let not_held = not_held.map(|figure| format!("{}: the offered rate was not held", figure.id));
        self.failed.iter().cloned().chain(not_held).collect()
    }

    pub(crate) fn print(&self) {
        println!("\n{} · commit {}", self.machine, self.commit);
        println!("{:<22} {:>14} {:>14} {:>14}  {:<10} conditions", "id", "min", "median", "max", "unit");
        for figure in &self.figures {
            println!("{}", line(figure));
        }
        if !self.ratios.is_empty() {
            println!("\n{}", ratio::HEADER);
        }
        for ratio in &self.ratios {
            println!("{}", ratio::line(ratio));
        }
    }

    /// Writes all that there is so far.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }
}

fn line(figure: &Figure) -> String {
    let Figure { id, unit, min, median, max, held, conditions } = figure;
    let number = |value: &f64| if *value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let held = match held {
        Some(true) => "held: ",
        Some(false) => "NOT HELD: ",
        None => "",
    };
    format!("{id:<22} {:>14} {:>14} {:>14}  {unit:<10} {held}{conditions}", number(min), number(median), number(max))
}

fn machine(dir: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |path: &str, key: &str| {
        let text = read(path);
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let file_system =
        file_system(&read("/proc/self/mountinfo"), &dir).unwrap_or_else(|| "an unknown file system".into());
    format!(
        "{cores} cores, {}, memory {}, data on {file_system}",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal")
    )
}

/// The type of the file system that a folder lies on: that of the longest mount point it is under, and of several there
/// the last one (see proc(5), `mountinfo`).
fn file_system(mountinfo: &str, dir: &Path) -> Option<String> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        Some((mount.split(' ').nth(4)?, file_system.split(' ').next()?))
    });
    let under = mounts.filter(|(point, _)| dir.starts_with(point));
    under.max_by_key(|(point, _)| point.len()).map(|(_, file_system)| file_system.to_owned())
}

/// Short hash, with `-dirty` where the sources differ from it.
fn commit() -> String {
    let arguments = ["describe", "--always", "--dirty", "--exclude=*"];
    let output = std::process::Command::new("git").args(arguments).output();
    output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new(Path::new("/"))
    }

    #[test]
    fn a_figure_has_the_middle_of_its_runs_and_says_how_many_there_were() {
        // given figures of three runs, of one and of two
        let mut report = report();
        report.add("debits_many", "debits/s", &[120.0, 100.0, 400.0], "sink on");
        report.add("rss_meter", "MiB", &[50.0], "at rest");
        report.add("debits_hot", "debits/s", &[100.0, 90.0], "sink on");
        // when they are written
        let json = serde_json::to_value(&report).unwrap();
        // then
        let figure = &json["figures"][0];
        let numbers = ["min", "median", "max"].map(|name| figure[name].as_f64().unwrap());
        assert_eq!(numbers, [100.0, 120.0, 400.0]);
        assert_eq!(figure["conditions"], "sink on; 3 runs");
        assert_eq!(json["figures"][1]["conditions"], "at rest; 1 run");
        assert_eq!(json["figures"][2]["median"], 95.0);
        assert!(figure.get("held").is_none(), "{figure}");
        assert_eq!(report.problems(), Vec::<String>::new());
    }

    #[test]
    fn a_rate_that_was_not_held_and_a_failed_group_are_no_success() {
        // given a rate that was held, one that was not, and a group that failed
        let mut report = report();
        report.add_at_rate("ack_p99", "ms", &[3.0], true, "1,000/s");
        report.add_at_rate("path_sustained", "events/s", &[9_000.0], false, "25,000/s");
        report.failed("freshness", &anyhow::anyhow!("the run does not verify"));
        // when they are written
        let json = serde_json::to_value(&report).unwrap();
        // then a reader sees it, and so does the exit status
        assert_eq!([&json["figures"][0]["held"], &json["figures"][1]["held"]], [true, false]);
        assert_eq!(json["failed"][0], "freshness: the run does not verify");
        let problems = report.problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[1].starts_with("path_sustained"), "{problems:?}");
        assert!(line(&report.figures[1]).contains("NOT HELD"));
    }

    #[test]
    fn figures_stand_in_the_file_before_the_last_group_has_ended() {
        // given a report with one figure
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench/results.json");
        let mut report = report();
        report.add("copy_bare", "records/s", &[1.0], "nothing else");
        // when it is written, and again with another one
        report.write(&path).unwrap();
        report.add("debits_hot", "debits/s", &[2.0], "sink on");
        report.write(&path).unwrap();
        // then the file has both
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let ids: Vec<&str> = json["figures"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(ids, ["copy_bare", "debits_hot"]);
        for member in ["machine", "commit", "started_at"] {
            assert!(json[member].is_string(), "{member}");
        }
    }

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        // given mounts as the kernel lists them
        let mounts = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
                      31 22 0:27 / /tmp rw,nosuid shared:9 - tmpfs tmpfs rw,size=1g\n\
                      40 22 254:2 / /srv/data rw - xfs /dev/vdb rw\n";
        let of = |dir: &str| file_system(mounts, Path::new(dir));
        // then a folder has the one it is under, and a similar name is no parent
        assert_eq!(of("/tmp/bench").as_deref(), Some("tmpfs"));
        assert_eq!(of("/srv/data/bench").as_deref(), Some("xfs"));
        assert_eq!(of("/srv/database").as_deref(), Some("ext4"));
        assert_eq!(file_system("", Path::new("/")), None);
    }
}
