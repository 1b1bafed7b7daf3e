//! The documented table of metrics, made from what the services register. For tests: `docs/metrics.md` must not drift.
//!
//! A service's test registers everything and touches each metric whose labels come with time, because a metric without
//! a sample is not gathered. `UPDATE_METRICS=1` writes the section anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use prometheus::Registry;
use prometheus::proto::{MetricFamily, MetricType};

/// Labels that a metric may have. Each has few values, none of which a client can add to: a value comes from an enum of
/// the code, from the configuration, or from a price book that an administrator published.
pub const LABELS: [&str; 25] = [
    "broker",
    "bucket",
    "by",
    "cause",
    "client",
    "endpoint",
    "engine",
    "event",
    "group",
    "kind",
    "operation",
    "outcome",
    "partition",
    "provider",
    "reason",
    "result",
    "route",
    "service",
    "source",
    "stage",
    "state",
    "status",
    "status_class",
    "topic",
    "way",
];
/// Those beside them whose values are not worth listing: they are many, or differ between installations.
const UNLISTED: [&str; 8] = ["broker", "bucket", "endpoint", "engine", "group", "partition", "route", "topic"];
/// Labels of `tollbooth_build_info` and of entries, which are enums of the code, too.
const OTHERS: [&str; 2] = ["type", "version"];

/// The section of a process: its heading, and a table of the metrics whose names `belongs` takes.
///
/// # Errors
/// A metric without a meaning, or with a label that is not in [`LABELS`].
pub fn section(registry: &Registry, belongs: impl Fn(&str) -> bool) -> Result<String, String> {
    let mut text = String::from("| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n");
    for family in registry.gather().iter().filter(|family| belongs(family.name())) {
        let name = family.name();
        if family.help().trim().is_empty() {
            return Err(format!("{name} has no meaning"));
        }
        let labels = labels(family);
        let unbounded = labels.keys().find(|label| !LABELS.contains(label) && !OTHERS.contains(label));
        if let Some(label) = unbounded {
            return Err(format!("{name}: {label} is not among the labels that are known to be bounded"));
        }
        let labels: Vec<String> = labels.iter().map(|(label, values)| listed(label, values)).collect();
        let (kind, unit, help) = (kind(family.get_field_type()), unit(name), family.help().replace('|', "\\|"));
        // Writing to a string does not fail.
        writeln!(text, "| `{name}` | {kind} | {} | {unit} | {help} |", labels.join("; ")).unwrap_or_default();
    }
    Ok(text)
}

/// Compares a section of the document with what it must be, or writes it where `UPDATE_METRICS` is set.
///
/// # Errors
/// That it drifted, or that the document cannot be read.
pub fn keep(document: &Path, name: &str, expected: &str) -> Result<(), String> {
    crate::document::keep(document, name, expected, "UPDATE_METRICS")
}

/// Whether a metric is one that every process has.
#[must_use]
pub fn is_common(name: &str) -> bool {
    ["process_", "tollbooth_tokio_", "tollbooth_build_info", "tollbooth_ready", "tollbooth_kafka_", "tollbooth_trace_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn labels(family: &MetricFamily) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pair in family.get_metric().iter().flat_map(|metric| metric.get_label()) {
        labels.entry(pair.name()).or_default().insert(pair.value());
    }
    labels
}

fn listed(label: &str, values: &BTreeSet<&str>) -> String {
    if UNLISTED.contains(&label) || label == "version" {
        return format!("`{label}`");
    }
    let values: Vec<&str> = values.iter().copied().collect();
    format!("`{label}`: {}", values.join(", "))
}

const fn kind(of: MetricType) -> &'static str {
    match of {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "untyped",
    }
}

/// The base unit, which is the last word of a name.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name {
        _ if name.ends_with("_timestamp_seconds") || name == "process_start_time_seconds" => "seconds since 1970",
        _ if name.ends_with("_seconds") => "seconds",
        _ if name.ends_with("_bytes") || name.ends_with("_bytes_inserted") => "bytes",
        _ if name.ends_with("_dollars") => "units of the currency",
        _ => "-",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use prometheus::{IntCounterVec, Opts};

    fn registry(label: &str, help: &str) -> Registry {
        let registry = Registry::new();
        let counters = IntCounterVec::new(Opts::new("tollbooth_things_total", help), &[label]).unwrap();
        counters.with_label_values(&["b"]).inc();
        counters.with_label_values(&["a"]).inc();
        registry.register(Box::new(counters)).unwrap();
        registry
    }

    #[test]
    fn a_row_says_what_the_metric_is() {
        let text = section(&registry("result", "Things that happened."), |_| true).unwrap();
        assert!(
            text.ends_with("| `tollbooth_things_total` | counter | `result`: a, b | - | Things that happened. |\n")
        );
        assert!(!section(&registry("result", "Things."), is_common).unwrap().contains("things"));
    }

    #[test]
    fn a_label_that_a_client_could_fill_is_refused() {
        let error = section(&registry("account_id", "Things."), |_| true).unwrap_err();
        assert!(error.contains("account_id is not among the labels"), "{error}");
        assert!(section(&registry("result", " "), |_| true).unwrap_err().contains("no meaning"));
    }

    #[test]
    fn units_are_read_off_the_name() {
        let units = ["a_duration_seconds", "a_timestamp_seconds", "a_bytes", "a_bytes_inserted_total", "a_records"];
        assert_eq!(units.map(unit), ["seconds", "seconds since 1970", "bytes", "bytes", "-"]);
    }

    /// Rust files below a folder.
    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let of = |path: PathBuf| match path.extension() {
            None if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![path],
            _ => Vec::new(),
        };
        entries.flat_map(of).collect()
    }

    /// Names of metrics in a source: whole literals of several words. One word behind the prefix is a name of something else.
    fn names(source: &str) -> impl Iterator<Item = &str> {
        source.split("\"tollbooth_").skip(1).filter_map(|rest| {
            let name = rest.split_once('"')?.0;
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            (is_name && name.trim_end_matches('_').contains('_')).then_some(name)
        })
    }

    /// A family whose labels come with time has no sample in a test that forgets to touch it, and so no row in its table.
    #[test]
    fn every_metric_that_the_code_names_stands_in_the_document() {
        // given the document and the sources of all that shows metrics
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let document = fs::read_to_string(root.join("docs/metrics.md")).unwrap();
        let below =
            |folder: &str| fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path().join("src"));
        let files: Vec<PathBuf> = below("services")
            .chain(below("crates"))
            .filter(|path| path.is_dir())
            .flat_map(|path| sources(&path))
            .collect();

        // when
        let mut known = 0;
        let mut missing = BTreeSet::new();
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            for name in names(&source).filter(|name| *name != "things_total") {
                known += 1;
                if !document.contains(&format!("\n| `tollbooth_{name}` |")) {
                    missing.insert(format!("tollbooth_{name} of {}", file.display()));
                }
            }
        }

        // then
        assert!(known > 100, "{known} names found");
        assert!(missing.is_empty(), "docs/metrics.md has no row of {missing:#?}: its service's test must touch it");
    }
}
