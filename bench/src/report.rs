//! Figures: collected over a run, printed as one table, written as JSON and as markdown.

mod machine;
mod render;

use std::path::Path;

use serde::Serialize;

use crate::{
    curve::{self, Point},
    goal::{self, Judged, Offered},
    ratio::{self, Ratio},
    soak::Soak,
};

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
    /// Where there is one: by the median, whether it was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Judged>,
    conditions: String,
}

/// All figures of a run, with what they were measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    started_at: String,
    /// What the broker had done before the first figure.
    warm_up: String,
    figures: Vec<Figure>,
    /// Figures of this run beside those of others.
    ratios: Vec<Ratio>,
    /// How figures grow, point by point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    growth: Vec<Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soak: Option<Soak>,
    /// Groups without figures, or without all of them, and why.
    failed: Vec<String>,
}

impl Report {
    /// An empty one for measurements with the engines' data in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            machine: machine::machine(dir),
            commit: machine::commit(),
            started_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            warm_up: "none".to_owned(),
            figures: Vec::new(),
            ratios: Vec::new(),
            growth: Vec::new(),
            soak: None,
            failed: Vec::new(),
        }
    }

    /// Adds a figure from its runs and prints it.
    pub(crate) fn add(&mut self, id: &'static str, unit: &'static str, runs: &[f64], conditions: impl Into<String>) {
        self.push(id, unit, runs, None, None, &conditions.into());
    }

    /// Adds a figure that was measured while a rate was held, or was not.
    pub(crate) fn add_at_rate(
        &mut self,
        id: &'static str,
        unit: &'static str,
        runs: &[f64],
        held: bool,
        conditions: impl Into<String>,
    ) {
        self.push(id, unit, runs, Some(held), None, &conditions.into());
    }

    /// Adds a figure whose goal depends on the rate that was offered.
    pub(crate) fn add_offered(
        &mut self,
        id: &'static str,
        unit: &'static str,
        runs: &[f64],
        offered: Offered,
        conditions: impl Into<String>,
    ) {
        self.push(id, unit, runs, Some(offered.held), Some(offered), &conditions.into());
    }

    fn push(
        &mut self,
        id: &'static str,
        unit: &'static str,
        runs: &[f64],
        held: Option<bool>,
        offered: Option<Offered>,
        conditions: &str,
    ) {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return };
        let count = sorted.len();
        // Of an even count the middle of both middle ones, or two runs would show the better of them.
        let median = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
        let conditions = format!("{conditions}; {count} run{}", if count == 1 { "" } else { "s" });
        let goal = goal::judged(id, median, offered);
        let figure = Figure { id, unit, min: *min, median, max: *max, held, goal, conditions };
        println!("{}", render::line(&figure));
        self.figures.push(figure);
        self.ratios = ratio::all(|id| self.figures.iter().find(|figure| figure.id == id).map(|figure| figure.median));
    }

    /// Adds a measured point of a curve and prints it.
    pub(crate) fn point(&mut self, point: Point) {
        println!(
            "{} at {} {}: {} {}  {}",
            point.id,
            curve::number(point.x),
            point.x_unit,
            curve::number(point.value),
            point.unit,
            point.conditions
        );
        self.growth.push(point);
    }

    /// Takes the curve with this id on to further points.
    pub(crate) fn extrapolate(&mut self, id: &str, xs: &[f64]) {
        let measured: Vec<Point> = self.growth.iter().filter(|point| point.id == id).cloned().collect();
        self.growth.extend(curve::extrapolated(&measured, xs));
    }

    /// Notes what a long run was like.
    pub(crate) fn soaked(&mut self, soak: Soak) {
        self.soak = Some(soak);
    }

    /// Notes what the broker has done before what is measured from now on.
    pub(crate) fn warmed_up(&mut self, what: String) {
        self.warm_up = what;
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
        let soak = self.soak.iter().flat_map(Soak::problems);
        self.failed.iter().cloned().chain(not_held).chain(soak).collect()
    }

    /// Prints everything as one table.
    pub(crate) fn print(&self) {
        println!("\n{}", render::terminal(self));
    }

    /// Writes all that there is so far: as JSON, and beside it as markdown.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        std::fs::write(path.with_extension("md"), render::markdown(self))?;
        Ok(())
    }
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
        assert_eq!(figure["goal"], serde_json::json!({"at_least": 200_000.0, "met": false}));
        assert_eq!(json["figures"][1]["conditions"], "at rest; 1 run");
        assert_eq!(json["figures"][2]["median"], 95.0);
        assert!(figure.get("held").is_none(), "{figure}");
        assert!(json["figures"][1].get("goal").is_none());
        // and a missed goal is shown, not a failure of the run
        assert_eq!(report.problems(), Vec::<String>::new());
    }

    #[test]
    fn a_rate_that_was_not_held_and_a_failed_group_are_no_success() {
        // given a rate that was held, one that was not, and a group that failed
        let mut report = report();
        report.add_at_rate("ack_p99", "ms", &[3.0], true, "1,000/s");
        report.add_offered(
            "path_sustained",
            "events/s",
            &[9_000.0],
            Offered { rate: 35_000.0, held: false },
            "35,000/s",
        );
        report.failed("freshness", &anyhow::anyhow!("the run does not verify"));
        // when they are written
        let json = serde_json::to_value(&report).unwrap();
        // then a reader sees it, and so does the exit status
        assert_eq!([&json["figures"][0]["held"], &json["figures"][1]["held"]], [true, false]);
        assert_eq!(json["figures"][1]["goal"], serde_json::json!({"held": 35_000.0, "met": false}));
        assert_eq!(json["failed"][0], "freshness: the run does not verify");
        let problems = report.problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[1].starts_with("path_sustained"), "{problems:?}");
        assert!(render::line(&report.figures[1]).contains("NOT HELD"));
    }

    #[test]
    fn figures_stand_in_the_files_before_the_last_group_has_ended() {
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
        for member in ["machine", "commit", "started_at", "warm_up"] {
            assert!(json[member].is_string(), "{member}");
        }
        // and so has the one for people, beside it
        let markdown = std::fs::read_to_string(path.with_extension("md")).unwrap();
        assert!(markdown.contains("| `copy_bare` |") && markdown.contains("| `debits_hot` |"), "{markdown}");
    }
}
