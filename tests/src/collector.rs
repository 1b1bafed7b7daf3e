//! Stands in for an OpenTelemetry collector: takes OTLP over HTTP and keeps the spans.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;

/// A span as a test looks at it.
#[derive(Debug, Clone)]
pub struct SeenSpan {
    /// Of the process: `tollbooth-ingest`.
    pub service: String,
    /// What was done.
    pub name: String,
    /// In hex.
    pub trace_id: String,
    /// In hex.
    pub span_id: String,
    /// In hex; empty for the first of a trace.
    pub parent_id: String,
    /// As texts.
    pub attributes: BTreeMap<String, String>,
    /// Why it failed; empty where it did not.
    pub failure: String,
}

/// Listens on loopback until the process ends.
#[derive(Debug, Clone)]
pub struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<SeenSpan>>>,
}

impl Collector {
    /// Begins to listen.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}/v1/traces", listener.local_addr()?);
        let collector = Self { endpoint, spans: Arc::default() };
        let taken = collector.clone();
        std::thread::Builder::new().name("collector".to_owned()).spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let taken = taken.clone();
                // A process that was killed leaves half a request behind.
                std::thread::spawn(move || taken.serve(stream).unwrap_or_default());
            }
        })?;
        Ok(collector)
    }

    /// What `traces.endpoint` is set to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The spans of a trace so far.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Vec<SeenSpan> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace_id == trace_id).cloned().collect()
    }

    /// One request after the other, as a client keeps the connection.
    fn serve(&self, stream: TcpStream) -> anyhow::Result<()> {
        let mut answers = stream.try_clone()?;
        let mut requests = BufReader::new(stream);
        loop {
            let mut length = 0;
            let mut line = String::new();
            loop {
                line.clear();
                if requests.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line == "\r\n" {
                    break;
                }
                let (name, value) = line.split_once(':').unwrap_or_default();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().context("a length")?;
                }
            }
            let mut body = vec![0; length];
            requests.read_exact(&mut body)?;
            self.take(&body)?;
            answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        }
    }

    fn take(&self, body: &[u8]) -> anyhow::Result<()> {
        let request = ExportTraceServiceRequest::decode(body)?;
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.resource_spans {
            let named = texts(&resource.resource.unwrap_or_default().attributes);
            let service = named.get("service.name").cloned().unwrap_or_default();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(SeenSpan {
                    service: service.clone(),
                    name: span.name,
                    trace_id: hex(&span.trace_id),
                    span_id: hex(&span.span_id),
                    parent_id: hex(&span.parent_span_id),
                    attributes: texts(&span.attributes),
                    failure: span.status.unwrap_or_default().message,
                });
            }
        }
        Ok(())
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    };
    attributes.iter().filter_map(|attribute| Some((attribute.key.clone(), text(attribute)?))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
