//! Logs, and the metrics every service has.
//!
//! Logs go to standard error, one JSON object a line. `TOLLBOOTH_LOG` is an env filter (default `info`, e.g.
//! `info,tollbooth_meter=debug`), `TOLLBOOTH_LOG_FORMAT=text` is for people. Metrics hang on a [`Registry`] that is handed
//! around; there is no process-wide one.

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts, Registry};
use tokio::runtime::{Handle, RuntimeMetrics};
use tracing_subscriber::EnvFilter;

/// Variable and default of what is logged, as an env filter.
const FILTER: (&str, &str) = ("TOLLBOOTH_LOG", "info");
/// Variable and default of the form.
const FORMAT: (&str, &str) = ("TOLLBOOTH_LOG_FORMAT", "json");

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `TOLLBOOTH_LOG` is not an env filter.
    #[error("TOLLBOOTH_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `TOLLBOOTH_LOG_FORMAT` is neither `json` nor `text`.
    #[error("TOLLBOOTH_LOG_FORMAT: expected json or text, not {0:?}")]
    Format(String),
    /// Logging was set up before.
    #[error("logging is already set up")]
    AlreadySetUp,
    /// A metric's name was taken.
    #[error("cannot register a metric: {0}")]
    Metric(#[from] prometheus::Error),
}

/// Sets up logging for the process, panics included. Once, first thing in `main`.
///
/// # Errors
/// [`TelemetryError`] for a bad variable or a second call.
pub fn init_logging() -> Result<(), TelemetryError> {
    let filter = match std::env::var(FILTER.0) {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text)?,
        _ => EnvFilter::new(FILTER.1),
    };
    let format = std::env::var(FORMAT.0).ok().filter(|format| !format.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let outcome = match format.as_deref().unwrap_or(FORMAT.1) {
        "json" => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        "text" => builder.with_ansi(false).try_init(),
        other => return Err(TelemetryError::Format(other.to_owned())),
    };
    outcome.map_err(|_| TelemetryError::AlreadySetUp)?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic
            .payload()
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        tracing::error!(location, thread = std::thread::current().name().unwrap_or_default(), "panic: {message}");
    }));
    Ok(())
}

/// A registry with `tollbooth_build_info{service, version}`, the `process_*` metrics and, inside a runtime, those of it
/// as `tollbooth_tokio_*`.
///
/// # Errors
/// When a metric cannot be registered.
pub fn registry(service: &str, version: &str) -> Result<Registry, TelemetryError> {
    let registry = Registry::new();
    let info = IntGauge::with_opts(
        Opts::new("tollbooth_build_info", "Always 1; the labels say what is running.")
            .const_label("service", service)
            .const_label("version", version),
    )?;
    info.set(1);
    registry.register(Box::new(info))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    if let Ok(handle) = Handle::try_current() {
        registry.register(Box::new(RuntimeCollector::new(handle.metrics())?))?;
    }
    Ok(registry)
}

/// The async runtime's own numbers, read when they are asked for. Only what tokio promises to keep: the rest needs a
/// compiler flag.
struct RuntimeCollector {
    runtime: RuntimeMetrics,
    workers: IntGauge,
    alive_tasks: IntGauge,
    global_queue_depth: IntGauge,
}

impl RuntimeCollector {
    fn new(runtime: RuntimeMetrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            runtime,
            workers: IntGauge::new("tollbooth_tokio_workers", "Threads that run async tasks.")?,
            alive_tasks: IntGauge::new("tollbooth_tokio_alive_tasks", "Async tasks that have not ended.")?,
            global_queue_depth: IntGauge::new(
                "tollbooth_tokio_global_queue_depth",
                "Async tasks that are ready and wait for a thread; more than a few: the threads are too busy.",
            )?,
        })
    }

    fn gauges(&self) -> [(&IntGauge, usize); 3] {
        [
            (&self.workers, self.runtime.num_workers()),
            (&self.alive_tasks, self.runtime.num_alive_tasks()),
            (&self.global_queue_depth, self.runtime.global_queue_depth()),
        ]
    }
}

impl Collector for RuntimeCollector {
    fn desc(&self) -> Vec<&Desc> {
        [&self.workers, &self.alive_tasks, &self.global_queue_depth].into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let read = |(gauge, value): (&IntGauge, usize)| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.collect()
        };
        self.gauges().into_iter().flat_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric_table;

    #[test]
    fn the_reference_names_what_every_process_reads() {
        let variables = [
            (FILTER, "What is logged, as an env filter: `info,tollbooth_meter=debug`."),
            (FORMAT, "`json`: one object a line; `text`: for people."),
        ];
        let rows = variables.map(|((name, default), meaning)| format!("| `{name}` | `{default}` | {meaning} |\n"));
        let rows = format!("| variable | default | meaning |\n|---|---|---|\n{}", rows.concat());
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        crate::config::reference::keep(&document, "every process", &rows).unwrap();
    }

    #[tokio::test]
    async fn what_every_process_shows_is_documented() {
        let registry = registry("meter", "0.1.0").unwrap();
        crate::ops::register_readiness(&registry, &crate::ops::Health::new()).unwrap();
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        // The service is of whoever asks.
        let rows = metric_table::section(&registry, metric_table::is_common).unwrap();
        let rows = rows.replace("`service`: meter", "`service`: effects, ingest, meter, query, sink");
        metric_table::keep(&document, "every process", &rows).unwrap();
    }
}
