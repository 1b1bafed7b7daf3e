//! OTLP over HTTP, by the client that the rest of the process uses.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter as OtlpExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

use super::{Budget, TracesError};
use crate::config::TracesSection;
use crate::tls;

/// A collector says little.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// An exporter that gives its spans' room back, whatever becomes of them.
pub(super) fn new(section: &TracesSection, budget: Budget) -> Result<Settling, TracesError> {
    let refused = |reason: &str| TracesError::Endpoint(reason.to_owned());
    let address: axum::http::Uri = section.endpoint.parse().map_err(|_| refused("it is no address"))?;
    if !matches!(address.scheme_str(), Some("http" | "https")) || address.path().len() < 2 {
        return Err(refused("it needs http or https, and a path"));
    }
    let timeout = Duration::from_millis(section.timeout_ms);
    let mut headers = HashMap::new();
    if !section.authorization.is_empty() {
        headers.insert("authorization".to_owned(), section.authorization.expose().to_owned());
    }
    let inner = exporter(section, timeout, headers)?;
    Ok(Settling { inner, budget })
}

fn exporter(
    section: &TracesSection,
    timeout: Duration,
    headers: HashMap<String, String>,
) -> Result<OtlpExporter, ExporterBuildError> {
    OtlpExporter::builder()
        .with_http()
        .with_http_client(Poster::new(timeout))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&section.endpoint)
        .with_timeout(timeout)
        .with_headers(headers)
        .build()
}

/// Posts on the process's runtime: whoever waits for it is a thread of its own, outside of it.
struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    timeout: Duration,
}

impl Poster {
    fn new(timeout: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let tls = tls::trusting_or_nobody("", "traces: install ca-certificates");
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(30)).build(https);
        Self { client, runtime: Handle::current(), timeout }
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Poster")
    }
}

impl HttpClient for Poster {
    // What `async_trait` makes of an async method, written out: it is this crate's only one.
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let (client, timeout) = (self.client.clone(), self.timeout);
        let posted = self.runtime.spawn(async move {
            let exchange = async {
                let response = client.request(request.map(Full::new)).await?;
                let (head, body) = response.into_parts();
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(head, body))
            };
            tokio::time::timeout(timeout, exchange).await?
        });
        Box::pin(async move { posted.await? })
    }
}

/// Says what became of the spans, and gives their room back.
#[derive(Debug)]
pub(super) struct Settling {
    inner: OtlpExporter,
    budget: Budget,
}

impl SpanExporter for Settling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.inner.export(batch).await;
        self.budget.settle(spans, outcome.is_ok());
        if let Err(error) = &outcome {
            tracing::debug!(%error, spans, "the collector did not take the spans");
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
