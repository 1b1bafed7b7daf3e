//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::Parser;

/// What can be asked for by name.
const GROUPS: [&str; 19] = [
    "core",
    "copy",
    "debits",
    "postgres",
    "kstreams",
    "ingest",
    "path",
    "freshness",
    "holds",
    "streams",
    "queries",
    "mixed",
    "web",
    "scrape",
    "restart",
    "rebuild",
    "other",
    "growth",
    "soak",
];
/// What is measured only when it is asked for: it takes long by itself.
const ONLY_BY_NAME: [&str; 2] = ["growth", "soak"];
/// What is measured on a broker that has run for a while.
const ON_A_WARM_BROKER: [&str; 9] =
    ["copy", "debits", "postgres", "kstreams", "ingest", "path", "freshness", "holds", "growth"];
/// The curves of the group `growth`.
const CURVES: [&str; 4] = ["partitions", "accounts", "rows", "ids"];

#[derive(Debug, Parser)]
#[command(about = "Measures tollbooth on this machine, prints a table and writes bench/results.json and results.md.")]
pub(crate) struct Options {
    /// Only these groups. Default: all but growth and soak.
    #[arg(long, value_delimiter = ',', value_parser = GROUPS)]
    only: Vec<String>,
    /// Usage records of a drained backlog.
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) backlog: usize,
    /// Ledger entries of the partition that is taken again.
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) entries: usize,
    /// Ledger rows that the query service is asked about.
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) rows: usize,
    /// Only these questions to the query service, as `newest`. Default: all.
    #[arg(long, value_delimiter = ',')]
    pub(crate) questions: Vec<String>,
    /// Whether the measured meters keep their state in a store.
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    pub(crate) store: bool,
    /// Runs of each figure that is repeated.
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: u32,
    /// Runs of the whole path, a minute each.
    #[arg(long, default_value_t = 1)]
    pub(crate) path_runs: u32,
    /// Events a second that the whole path is offered.
    #[arg(long, default_value_t = 35_000.0)]
    pub(crate) path_rate: f64,
    /// Events a second beside which a balance is waited for at half load.
    #[arg(long, default_value_t = 17_500.0)]
    pub(crate) freshness_rate: f64,
    /// Seconds of each open-loop load.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Seconds of load before anything is measured that goes through the broker, until its code is compiled.
    #[arg(long, default_value_t = 240)]
    pub(crate) warm_up: u64,
    /// Events a second of that load, below what the path holds.
    #[arg(long, default_value_t = 15_000.0)]
    pub(crate) warm_up_rate: f64,
    /// Seconds of mixed requests before they are measured: what is kept is kept by then.
    #[arg(long, default_value_t = 120)]
    pub(crate) mixed_warm_up: u64,
    /// A file that names another product's endpoint and questions, see bench/README.md; measured after all but growth
    /// and soak.
    #[arg(long)]
    pub(crate) other: Option<PathBuf>,
    /// Up to how many rows and operation ids growth is measured, and a tenth of it accounts; 100000000 is all.
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) growth_max: usize,
    /// Only these curves of growth. Default: all.
    #[arg(long, value_delimiter = ',', value_parser = CURVES)]
    curves: Vec<String>,
    /// Minutes of the soak.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) soak_minutes: f64,
    /// Events a second of the soak: a third of what the path carries.
    #[arg(long, default_value_t = 11_700.0)]
    pub(crate) soak_rate: f64,
    /// Accounts of the soak.
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) soak_accounts: usize,
    /// Where the results go; what people read stands beside it, as .md.
    #[arg(long, default_value = "bench/results.json")]
    pub(crate) out: PathBuf,
    /// Keeps the engines' data here instead of a folder below target/bench-data that is removed at the end.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

impl Options {
    /// Whether this group is measured.
    pub(crate) fn wants(&self, group: &str) -> bool {
        if self.only.is_empty() {
            return !ONLY_BY_NAME.contains(&group);
        }
        self.only.iter().any(|only| only == group)
    }

    /// Whether anything is measured that needs a broker which is not just started.
    pub(crate) fn wants_warm_broker(&self) -> bool {
        ON_A_WARM_BROKER.iter().any(|group| self.wants(group))
    }

    /// Whether this curve of the growth is measured.
    pub(crate) fn wants_curve(&self, curve: &str) -> bool {
        self.curves.is_empty() || self.curves.iter().any(|only| only == curve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Options {
        Options::parse_from(std::iter::once(&"tollbooth-bench").chain(arguments))
    }

    #[test]
    fn what_takes_long_is_measured_only_by_name() {
        let all = options(&[]);
        assert!(all.wants("debits") && all.wants("other") && all.wants_warm_broker());
        assert!(!all.wants("growth") && !all.wants("soak"));
        let soak = options(&["--only", "soak"]);
        assert!(soak.wants("soak") && !soak.wants("debits") && !soak.wants_warm_broker());
        let curves = options(&["--only", "growth", "--curves", "rows,ids"]);
        assert!(curves.wants_curve("ids") && !curves.wants_curve("accounts") && all.wants_curve("accounts"));
    }
}
