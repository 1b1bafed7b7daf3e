//! Spans by OpenTelemetry, sent as OTLP over HTTP. Off unless `traces.endpoint` is set: then nothing here costs more than a
//! look at an `Option`.
//!
//! A request's span begins where the listener takes it and is the parent of what a record of it becomes: its `traceparent`
//! travels in the record's header of that name, so that the meter's span of the same record is a part of the same trace.
//! Spans are made by the API of OpenTelemetry and not by `tracing`'s: the meter knows only after a commit what became of
//! each of thousands of records, and then says so with times that have passed.
//!
//! What is never in a span: keys, bodies, anything of a guest. Accounts, entries and paths are.

mod exporter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::Context;
pub use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan,
};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};

use crate::config::TracesSection;

/// The header of HTTP and of Kafka records: W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";

/// How often what was made is sent.
const SEND_EVERY: Duration = Duration::from_secs(1);
const SENT_AT_ONCE_MAX: usize = 512;
/// What is not sent at the end within this is lost.
const END_PATIENCE: Duration = Duration::from_secs(3);

tokio::task_local! {
    /// The `traceparent` of the request that is being answered.
    static CURRENT: Arc<str>;
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The address is none.
    #[error("traces.endpoint: must be like http://collector:4318/v1/traces: {0}")]
    Endpoint(String),
    /// The exporter refuses its settings.
    #[error("traces: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// A metric's name is taken.
    #[error("cannot register a metric: {0}")]
    Metric(#[from] prometheus::Error),
}

/// Makes spans, or none. A handle; the default is off.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    propagator: TraceContextPropagator,
    budget: Budget,
    /// Of requests without a trace, one in so many begins one; 0: none.
    sample_one_in: u64,
    requests: AtomicU64,
}

/// Room for spans that are made and not sent.
#[derive(Debug, Clone)]
struct Budget {
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    /// The second that is counted, and how many were made in it.
    pace: Arc<Mutex<(Instant, u32)>>,
    per_second_max: u32,
    sent: IntCounter,
    failed: IntCounter,
    dropped: IntCounter,
}

impl Budget {
    fn register(registry: &Registry, section: &TracesSection) -> Result<Self, prometheus::Error> {
        let spans = IntCounterVec::new(
            Opts::new(
                "tollbooth_trace_spans_total",
                "Spans by what became of them; failed: the collector did not take them; dropped: too many waited, or were made in that second. All 0 \
                 where traces are off.",
            ),
            &["result"],
        )?;
        registry.register(Box::new(spans.clone()))?;
        let [sent, failed, dropped] = ["sent", "failed", "dropped"].map(|result| spans.with_label_values(&[result]));
        let pace = Arc::new(Mutex::new((Instant::now(), 0)));
        let (waiting_max, per_second_max) = (section.queue_spans_max.max(1), section.spans_per_second_max);
        Ok(Self { waiting: Arc::default(), waiting_max, pace, per_second_max, sent, failed, dropped })
    }

    /// Whether this second has room for one more of `max`.
    fn is_in_pace(&self, max: u32) -> bool {
        let mut pace = self.pace.lock();
        if pace.0.elapsed() >= Duration::from_secs(1) {
            *pace = (Instant::now(), 0);
        }
        let has_room = pace.1 < max;
        pace.1 = pace.1.saturating_add(u32::from(has_room));
        has_room
    }

    /// Takes a place; false: there is none, and the span is dropped and counted. Who sends a trace of his own decides that it
    /// is followed, but neither how many are nor that ours are not: those have half of the places.
    fn take(&self, is_theirs: bool) -> bool {
        let max = if is_theirs { self.per_second_max.div_ceil(2) } else { self.per_second_max };
        let is_taken = self.is_in_pace(max)
            && self
                .waiting
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                    (waiting < self.waiting_max).then_some(waiting + 1)
                })
                .is_ok();
        if !is_taken {
            self.dropped.inc();
        }
        is_taken
    }

    fn settle(&self, spans: usize, is_sent: bool) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let counter = if is_sent { &self.sent } else { &self.failed };
        counter.inc_by(spans as u64);
    }
}

/// What is known of a span once it is over.
#[derive(Debug)]
pub struct Passed<'a> {
    /// What was done: one of few.
    pub name: &'static str,
    /// The `traceparent` of what caused it.
    pub parent: &'a [u8],
    /// When it began.
    pub began: SystemTime,
    /// When it was over.
    pub ended: SystemTime,
    /// What it was about.
    pub attributes: Vec<KeyValue>,
    /// Why it failed, where it did.
    pub failure: Option<String>,
}

impl Traces {
    /// Registers the counter of spans and, where an endpoint is set, begins to send. Call inside a runtime, which must live
    /// until [`end`](Self::end).
    ///
    /// # Errors
    /// [`TracesError`]
    pub fn start(section: &TracesSection, service: &'static str, registry: &Registry) -> Result<Self, TracesError> {
        let budget = Budget::register(registry, section)?;
        if section.endpoint.is_empty() {
            return Ok(Self::default());
        }
        let exporter = exporter::new(section, budget.clone())?;
        let batches = BatchConfigBuilder::default()
            // The budget is what bounds it, so that what is dropped is counted.
            .with_max_queue_size(section.queue_spans_max.saturating_add(SENT_AT_ONCE_MAX))
            .with_max_export_batch_size(SENT_AT_ONCE_MAX)
            .with_scheduled_delay(SEND_EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", format!("tollbooth-{service}")))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            // What is to be sampled is decided before a span is made: one that is made is sent, even where it is only dropped.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .build();
        Ok(Self(Some(Arc::new(Inner {
            tracer: provider.tracer("tollbooth"),
            provider,
            propagator: TraceContextPropagator::new(),
            budget,
            sample_one_in: section.sample_one_in.into(),
            requests: AtomicU64::new(0),
        }))))
    }

    /// Whether any are made.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins the span of a request that came with this `traceparent`. `None`: it is not sampled, or traces are off.
    #[must_use]
    pub fn begin(
        &self,
        name: &'static str,
        parent: Option<&[u8]>,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Option<Underway> {
        let inner = self.0.as_ref()?;
        let parent = parent.and_then(|parent| inner.remote(parent));
        let is_sampled = parent.as_ref().map_or_else(|| inner.begins(), SpanContext::is_sampled);
        if !is_sampled || !inner.budget.take(parent.is_some()) {
            return None;
        }
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes());
        let span = inner.tracer.build_with_context(builder, &context);
        let header = inner.header(span.span_context())?;
        Some(Underway { span, header })
    }

    /// Notes what has passed, where what caused it is sampled.
    pub fn note(&self, passed: Passed<'_>) {
        let Some(inner) = &self.0 else { return };
        let Some(parent) = inner.remote(passed.parent).filter(SpanContext::is_sampled) else { return };
        if !inner.budget.take(false) {
            return;
        }
        let builder = SpanBuilder::from_name(passed.name)
            .with_kind(SpanKind::Consumer)
            .with_start_time(passed.began)
            .with_attributes(passed.attributes);
        let context = Context::new().with_remote_span_context(parent);
        let mut span = inner.tracer.build_with_context(builder, &context);
        if let Some(failure) = passed.failure {
            span.set_status(Status::error(failure));
        }
        span.end_with_timestamp(passed.ended);
    }

    /// Sends what is left, within a bound.
    pub async fn end(self) {
        let Some(inner) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || inner.provider.shutdown_with_timeout(END_PATIENCE));
        if !matches!(ended.await, Ok(Ok(()))) {
            tracing::warn!("not every span was sent at the end");
        }
    }
}

impl Inner {
    /// Whether this request, which came without a trace, begins one.
    fn begins(&self) -> bool {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        before.checked_rem(self.sample_one_in) == Some(0)
    }

    fn remote(&self, traceparent: &[u8]) -> Option<SpanContext> {
        let text = std::str::from_utf8(traceparent).ok()?;
        let found = self.propagator.extract(&Carrier(text)).span().span_context().clone();
        found.is_valid().then_some(found)
    }

    fn header(&self, span: &SpanContext) -> Option<Arc<str>> {
        let mut written = Written(None);
        self.propagator.inject_context(&Context::new().with_remote_span_context(span.clone()), &mut written);
        written.0
    }
}

/// One header to be read.
struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// The one header that is written.
struct Written(Option<Arc<str>>);

impl Injector for Written {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value.into());
        }
    }
}

/// The span of a request that is being answered.
#[derive(Debug)]
pub struct Underway {
    span: SdkSpan,
    header: Arc<str>,
}

impl Underway {
    /// Its `traceparent`, for what it causes.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Does the work of the request: what it sends meanwhile [carries](carry) the trace.
    pub async fn cover<F: Future>(&self, work: F) -> F::Output {
        CURRENT.scope(Arc::clone(&self.header), work).await
    }

    /// It is answered with this status.
    pub fn end(mut self, status: u16) {
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            self.span.set_status(Status::error(status.to_string()));
        }
        self.span.end();
    }
}

/// The `traceparent` of the request that this task answers.
#[must_use]
pub fn current() -> Option<Arc<str>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// A record's headers, with the trace of the request that this task answers, where it has one.
#[must_use]
pub fn carry(headers: Option<OwnedHeaders>) -> Option<OwnedHeaders> {
    let Some(traceparent) = current() else { return headers };
    let headers = headers.unwrap_or_default();
    // A client in binary mode may have sent an attribute; it is another header, and stays.
    if headers.iter().any(|header| header.key == TRACEPARENT) {
        return Some(headers);
    }
    Some(headers.insert(Header { key: TRACEPARENT, value: Some(&*traceparent) }))
}

#[cfg(test)]
mod tests;
